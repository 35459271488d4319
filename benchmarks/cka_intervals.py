"""Do intervals of CKA and of settling steps hold what they should, and are they those of exact resamples?

Activations are normal, with standard deviations that fall as k^−0.7; an earlier state has noise, which sets CKA.
The debiased CKA is compared with that of the population (closed form), the biased with its mean over all trials, since
that is what it estimates from so many samples. Other data, of few samples: activations with heavy tails (Student's t
with 5 degrees of freedom), with one direction of thirty times the variance, and four samples of each sequence.

*Settling.* Curves of 24 checkpoints whose noise falls by a fifth at each, to nothing at the last; that of all is either
the same but for its size, or each has its own. The true step is that of the mean curve over all trials.

Run `python -m benchmarks cka_intervals [--trials 200] [--only sizes|others|settling]`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import torch

from phasescope.analyses.convergence.tables import SETTLING, Curve, settling_rows
from phasescope.analyses.options import Options
from phasescope.measures import Draws, FinalState, State, bootstrap_weights, cka_interval, settling_step
from phasescope.measures._resampled_cka import ExactlyResampled

WANTED = (0.3, 0.9, 0.99, 0.999)
SIZES = ((32, 64), (128, 64), (512, 64), (1024, 64), (1024, 768))
OTHERS = ("heavy tails", "one direction", "four a sequence")
# Trials of up to so many samples cost little, and there are so many times as many of them: 200 tell a share to 3 %.
FEW, MORE = 128, 10
RESAMPLES = 500
# Trials that are resampled exactly too.
EXACT = 5
STEPS = [0, *(2**power for power in range(23))]
TAUS = (0.8, 0.9, 0.95)


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", choices=("sizes", "others", "settling"))
    given, _ = parser.parse_known_args(sys.argv[1:])
    more = given.trials * MORE
    print(f"  {given.trials} trials of {RESAMPLES} resamples ({more} trials of one CKA of up to {FEW} samples)")
    print("  share of 95 % intervals that hold the truth")
    if given.only in (None, "sizes"):
        print("   samples  width    CKA  biased  debiased  standard deviation against exact: biased, debiased")
        for samples, width in SIZES:
            for wanted in WANTED:
                _row(samples, width, wanted, "normal", given.trials if samples > FEW else more)
    if given.only in (None, "others"):
        for data in OTHERS:
            print(f"  {data}")
            for wanted in WANTED:
                _row(32, 64, wanted, data, more)
    if given.only in (None, "settling"):
        print("   samples   noise   τ  true step  holds it  finds it  checkpoints in the interval")
        for samples in (32, 128):
            for shared in (True, False):
                _settling(samples, shared, given.trials)


def _row(samples: int, width: int, wanted: float, data: str, trials: int) -> None:
    """samples: how many are independent of each other."""
    generator = torch.Generator().manual_seed(0)
    variances = _variances(width, data)
    noise = _noise(variances, wanted)
    each = 4 if data == "four a sequence" else 1
    draws = Draws(bootstrap_weights(samples, RESAMPLES, 0).repeat_interleave(each, 1))
    found, spread = [], []
    for trial in range(trials):
        final = _activations(samples, width, data, generator) * variances.sqrt()
        earlier = State(final + noise * _activations(samples, width, data, generator))
        state = FinalState(final)
        drawn, estimates = state.resampled(earlier, draws), state.both(earlier)
        found.append([
            (one, *cka_interval(some, one, samples, debiased=place == 1))
            for place, (some, one) in enumerate(zip(drawn, estimates, strict=True))
        ])  # fmt: skip
        if trial < EXACT:
            exact = ExactlyResampled(State(final).gram, draws.counts).cka(earlier.gram)
            spread.append([some.std() / true.std() for some, true in zip(drawn, exact, strict=True)])
    numbers = torch.tensor(found, dtype=torch.float64)  # [trials, biased and debiased, estimate and interval]
    # Samples of one sequence are alike, so the debiased CKA of so many sequences is not that of the population either.
    means = numbers[..., 0].mean(0)
    truth = means if each > 1 else torch.stack([means[0], means.new_tensor(wanted)])
    held = ((numbers[..., 1] <= truth) & (truth <= numbers[..., 2])).double().mean(0)
    ratio = torch.tensor(spread).mean(0)
    print(
        f"  {samples:>8} {width:>6} {wanted:>6} {held[0]:>7.1%} {held[1]:>9.1%} {ratio[0]:>8.3f} {ratio[1]:.3f}",
        flush=True,
    )


def _activations(samples: int, width: int, data: str, generator: torch.Generator) -> torch.Tensor:
    """Of variance 1 in every direction, independent of each other."""

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if data == "heavy tails":
        return normal(samples, width) / (normal(5, samples, width).square().sum(0) / 3).sqrt()
    if data == "four a sequence":
        return (0.7 * normal(samples, 1, width) + 0.51**0.5 * normal(samples, 4, width)).flatten(0, 1)
    return normal(samples, width)


def _variances(width: int, data: str) -> torch.Tensor:
    variances = torch.arange(1, width + 1, dtype=torch.float64) ** -1.4
    if data == "one direction":
        variances[0] = 30
    return variances


def _noise(variances: torch.Tensor, wanted: float) -> float:
    """The standard deviation of noise at which the population's CKA, ‖Σ‖ / ‖Σ + σ²I‖, is what is wanted."""
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        cka = variances.norm() / (variances + middle**2).norm()
        low, high = (middle, high) if cka > wanted else (low, middle)
    return low


def _settling(samples: int, shared: bool, trials: int) -> None:
    """Intervals of settling steps, as the table `settling` has them."""
    curves = list(_curves(samples, shared, trials))
    mean = torch.stack([curve.cka for curve in curves]).mean(0)
    options, columns = Options(taus=TAUS), list(SETTLING)[6:]
    rows = [[dict(zip(columns, row, strict=True)) for row in settling_rows(one, STEPS, options)] for one in curves]
    for place, tau in enumerate(TAUS):
        true = float(settling_step(torch.tensor(STEPS), mean, tau))
        found = [row[place] for row in rows]
        # An end that is never is missing.
        ends = [[row[end] if row[end] is not None else torch.inf for end in ("low", "high")] for row in found]
        held = sum(low <= true <= high for low, high in ends) / trials
        right = sum(row["settling_step"] == true for row in found) / trials
        wide = sum(low <= step <= high for low, high in ends for step in STEPS) / trials
        told = "shared" if shared else "own"
        print(f"  {samples:>8} {told:>7} {tau:>4} {true:>9.0f} {held:>9.1%} {right:>9.1%} {wide:>8.1f}", flush=True)


def _curves(samples: int, shared: bool, trials: int) -> Iterator[Curve]:
    generator = torch.Generator().manual_seed(0)
    variances = _variances(64, "normal")
    draws = Draws(bootstrap_weights(samples, RESAMPLES, 0))
    sizes = [2 * 0.8**place for place in range(len(STEPS) - 1)] + [0.0]
    for _ in range(trials):
        final = _activations(samples, 64, "normal", generator) * variances.sqrt()
        noise = _activations(samples, 64, "normal", generator)
        state, told, drawn = FinalState(final), [], []
        for size in sizes:
            earlier = State(final + size * noise)
            told.append(torch.stack(state.both(earlier)))
            drawn.append(torch.stack(state.resampled(earlier, draws)))
            noise = noise if shared else _activations(samples, 64, "normal", generator)
        (cka, debiased), (replicates, others) = torch.stack(told, 1), torch.stack(drawn, 2)
        nothing = torch.zeros_like(cka)
        told, reasons = (cka, debiased, replicates, others, nothing), [""] * len(STEPS)
        yield Curve("planted", None, *told, samples, samples, reasons, 0.95)


if __name__ == "__main__":
    main()
