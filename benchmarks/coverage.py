"""Do intervals of similarity and of probes hold what they should, where the truth is known?

`python -m benchmarks coverage [--trials 200] [--only similarity|probes]`

*Similarity.* Activations are normal, their standard deviations fall as k^−0.7, and a second state is the first with
noise. What an interval says is how far the number moves when other samples are drawn: it should hold the mean over all
trials. Whether it holds what infinitely many samples would say too is another question, of a measure's bias: both are
printed. The population's Procrustes angle, CCA and PWCCA are closed forms; RSA's is that of 4 096 samples, and
neighbours are among so many samples by definition.

*Probes.* Samples of three classes, alone or in sequences of one class that lie beside each other. The truth of accuracy
and selectivity is what the very probes that were fitted would get of 20 000 other sequences; of bits the mean over all
trials.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import numpy as np
import torch

from phasescope.analyses.options import Options
from phasescope.analyses.probing.fits import probe
from phasescope.analyses.probing.labels import Label, Tasks, doubling
from phasescope.analyses.probing.tables import Draws, mean_of_samples
from phasescope.measures import SIMILARITIES, Chance, interval

SAMPLES, WIDTH, RESAMPLES = (128, 512), 32, 500
NOISE = (0.1, 0.5)
MANY = 4096
MEASURES = ("rsa", "neighbours", "procrustes", "mean_cca", "pwcca")
APART = (0.5, 1.5)
OTHERS = 20_000


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=("similarity", "probes"))
    given, _ = parser.parse_known_args(sys.argv[1:])
    print(f"  {given.trials} trials of {RESAMPLES} resamples: share of 95 % intervals that hold the truth")
    if given.only != "probes":
        print("  measure     samples  noise  population   mean  holds the mean  the population  width against needed")
        for samples in SAMPLES:
            for noise in NOISE:
                _similarity(samples, noise, given.trials)
    if given.only != "similarity":
        print("  probes of   samples  a sequence  apart   mean  holds the truth  width against needed")
        for samples, each in ((128, 1), (512, 1), (512, 4)):
            for apart in APART:
                _probes(samples, each, apart, given.trials)


def _states(samples: int, noise: float, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    spread = torch.arange(1, WIDTH + 1, dtype=torch.float64) ** -0.7
    first, other = torch.randn(2, samples, WIDTH, generator=generator, dtype=torch.float64)
    return first * spread, first * spread + noise * other


def _population(noise: float) -> dict[str, float]:
    """What infinitely many samples would say; canonical directions are the features themselves."""
    spread = torch.arange(1, WIDTH + 1, dtype=torch.float64) ** -0.7
    variance = spread.square()
    correlations = (variance / (variance + noise**2)).sqrt()
    rsa = SIMILARITIES["rsa"].side
    first, other = _states(MANY, noise, torch.Generator().manual_seed(1))
    return {
        "rsa": float(rsa(first).to(rsa(other))),
        "neighbours": float("nan"),
        "procrustes": float((variance.sum() / (variance + noise**2).sum()).sqrt().arccos()),
        "mean_cca": float(correlations.mean()),
        "pwcca": float(spread @ correlations / spread.sum()),
    }


def _similarity(samples: int, noise: float, trials: int) -> None:
    generator = torch.Generator().manual_seed(0)
    chance = Chance.of(samples, samples, RESAMPLES, 0)
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in MEASURES}
    for _ in range(trials):
        first, other = _states(samples, noise, generator)
        for name in MEASURES:
            side = SIMILARITIES[name].side
            told = side(first).told(side(other), chance)
            low, high = interval(told.replicates, told.value)
            found[name].append((float(told.value), float(low), float(high)))
    population = _population(noise)
    for name, rows in found.items():
        numbers = np.array(rows)
        mean, held = _held(numbers, numbers[:, 0].mean())
        whole = f"{_held(numbers, population[name])[1]:>15.1%}" if population[name] == population[name] else " " * 15
        print(
            f"  {name:<12}{samples:>7} {noise:>6} {population[name]:>11.3f} {mean:>6.3f} {held:>15.1%} {whole} "
            f"{_width(numbers):>20.2f}",
            flush=True,
        )


def _held(numbers: np.ndarray, truth: float | np.ndarray) -> tuple[float, float]:
    """The mean estimate, and the share of intervals that hold the truth; numbers: value, low and high of each trial."""
    return float(numbers[:, 0].mean()), float(((numbers[:, 1] <= truth) & (truth <= numbers[:, 2])).mean())


def _width(numbers: np.ndarray) -> float:
    """Mean width of the intervals over that of the middle 95 % of a normal distribution of the estimates' spread."""
    return float((numbers[:, 2] - numbers[:, 1]).mean() / (2 * 1.96 * numbers[:, 0].std(ddof=1)))


def _probes(samples: int, each: int, apart: float, trials: int) -> None:
    generator = np.random.default_rng(0)
    names = ("accuracy", "selectivity", "bits")
    found: dict[str, list[tuple[float, float, float, float]]] = {name: [] for name in names}
    for trial in range(trials):
        for name, row in zip(names, _trial(samples, each, apart, trial, generator), strict=True):
            found[name].append(row)
    for name, rows in found.items():
        numbers = np.array(rows)
        truth = numbers[:, 3] if name != "bits" else numbers[:, 0].mean()
        mean, held = _held(numbers, truth)
        moved = numbers.copy()
        moved[:, 0] -= truth
        print(
            f"  {name:<12}{samples:>7} {each:>11} {apart:>6} {mean:>6.3f} {held:>16.1%} {_width(moved):>21.2f}",
            flush=True,
        )


def _trial(
    samples: int, each: int, apart: float, trial: int, generator: np.random.Generator
) -> Iterator[tuple[float, float, float, float]]:
    """Value, low, high and truth of each number that a probe tells."""
    asked = samples // each
    sequences = asked + OTHERS // each
    sequence = np.repeat(np.arange(sequences), each)
    answers = np.repeat(generator.integers(0, 3, sequences), each)
    shared = np.repeat(generator.standard_normal((sequences, WIDTH)), each, axis=0)
    own = generator.standard_normal((len(sequence), WIDTH))
    values = apart * np.eye(3, WIDTH)[answers] + (0.5 * shared + own) / np.sqrt(1.25)
    controls = generator.integers(0, 3, (2, len(sequence)))
    label = Label("planted", ["a", "b", "c"], answers, controls, "")
    training = np.arange((asked - asked // 3) * each)
    held_out = np.ones(len(sequence), dtype=bool)
    held_out[training] = False
    tasks = Tasks([label], held_out, training, doubling(asked - asked // 3) * each, sequence)
    told = probe(values.astype(np.float32), label, tasks)
    mine = asked * each - len(training)
    few = Tasks([label], held_out[: asked * each], training, tasks.ends, sequence[: asked * each])
    draws = Draws.of(few, Options(resamples=RESAMPLES, seed=trial))
    for numbers in (told.right, told.right - told.control):
        yield (*mean_of_samples(numbers[:mine], draws.held_out, 0.95), float(numbers[mine:].mean()))
    yield (*mean_of_samples(told.bits, draws.train, 0.95), float("nan"))


if __name__ == "__main__":
    main()
