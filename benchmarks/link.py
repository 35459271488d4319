"""How often the link is right: planted lags, shares and slopes that are covered, and findings where there is nothing.

Run `python -m benchmarks link`, or `python -m benchmarks.link TRIALS` (250 unless asked; ten minutes on one core). Not
a matter of speed: the numbers of docs/analyses/link.md come from here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable

import numpy as np

from phasescope.measures import best_lag, common_error, mean_over_seeds, mixed_fit, phase_shares, speed_grid
from tests.measures.planted import GRIDS, linked, read, trends, walks

LAG, LAYERS = 0.6, 12


def lags(count: int, seeds: int, noise: float, trials: int) -> str:
    """Coverage of the planted lag where there is an interval, of all trials and of those that are significant; how many
    are; the usual error; how many have none, since the longest lag fits best.
    """
    grid = speed_grid(GRIDS[count])
    assert grid is not None
    inside, significant, errors, edges = [], [], [], 0
    for trial in range(trials):
        cka, surprisal = linked(GRIDS[count], seeds, LAG, noise, np.random.default_rng([trial, seeds, count]))
        found = best_lag(cka, _of(surprisal), grid)
        edges += found.at_edge
        if not found.at_edge:
            inside.append(found.low <= LAG <= found.high)
            significant.append(found.p <= 0.05)
            errors.append(abs(found.lag - LAG))
    sure = np.array(inside)[significant] if any(significant) else np.array([math.nan])
    error = math.exp(np.median(errors)) - 1
    numbers = f"{np.mean(inside):9.1%} {np.mean(sure):16.1%} {sum(significant) / trials:12.1%} {error:10.1%}"
    return f"{numbers} {edges / trials:12.1%}"


def nothing(count: int, seeds: int, kind: str, trials: int) -> str:
    """How often one layer has p ≤ 5 %, and how often an analysis of 12 layers finds anything after correction."""
    from statsmodels.stats.multitest import multipletests

    grid = speed_grid(GRIDS[count])
    assert grid is not None
    alone, together = [], []
    for trial in range(trials):
        generator = np.random.default_rng([trial, seeds, count])
        surprisal = _null(kind, count, seeds, generator)[1]
        found = [best_lag(_null(kind, count, seeds, generator)[0], _of(surprisal), grid).p for _ in range(LAYERS)]
        alone += [p <= 0.05 for p in found]
        together.append(bool(multipletests(found, method="fdr_bh")[0].any()))
    return f"{np.mean(alone):9.1%} {np.mean(together):16.1%}"


def shares(count: int, seeds: int, alike: float, trials: int) -> str:
    """Coverage of the mean share of a phase over 2 000 seeds (of one seed: of its own share), and the usual width.

    Seeds wiggle on their own by 0.02 (several seeds), and the texts err as `tests.measures.planted.read` says.
    """
    steps = GRIDS[count]
    phases = [(0.0, 30.0), (30.0, float(steps[-1]))]
    exact = np.zeros((2, len(steps)))

    def share(curve: np.ndarray) -> float:
        return float(phase_shares(steps, curve, exact, phases).shares[0])

    everyone = np.mean([share(row) for row in linked(steps, 2000, 0.3, 0.0, np.random.default_rng(9))[0]])
    inside, widths = [], []
    for trial in range(trials):
        generator = np.random.default_rng([trial, seeds, count])
        true, _ = linked(steps, seeds, 0.3, 0.02 if seeds > 1 else 0.0, generator)
        seen, moved = read(true, steps, alike, generator)
        each = [phase_shares(steps, row, own, phases) for row, own in zip(seen, moved, strict=True)]
        common = common_error(np.stack([one.deviations for one in each]))
        _, low, high = mean_over_seeds(np.stack([one.shares for one in each]), common=common)
        inside.append(low[0] <= (everyone if seeds > 1 else share(true[0])) <= high[0])
        widths.append(high[0] - low[0])
    return f"{np.mean(inside):9.1%} {np.median(widths):8.3f}"


def slopes(seeds: int, layers: int, offsets: tuple[float, float], trials: int) -> str:
    """Of the mixed model: coverage of a planted slope, and how often there is one where none was planted."""
    inside, found, fitted = [], [], []
    for trial in range(trials):
        generator = np.random.default_rng([trial, seeds, layers])
        rank = generator.standard_normal(layers) + 0.3 * generator.standard_normal((seeds, layers))
        rest = (
            offsets[0] * generator.standard_normal(layers)
            + offsets[1] * generator.standard_normal((seeds, 1))
            + 0.3 * generator.standard_normal((seeds, layers))
        )
        names = [f"s{seed}" for seed in range(seeds) for _ in range(layers)]
        places = [f"l{layer}" for _ in range(seeds) for layer in range(layers)]
        planted = mixed_fit((rank + rest).ravel(), rank.reshape(1, -1), names, places)
        none = mixed_fit(rest.ravel(), rank.reshape(1, -1), names, places)
        inside.append(planted.low[0] <= rank.std() <= planted.high[0])
        found.append(none.p[0] <= 0.05)
        fitted.append(not planted.reason and not none.reason)
    return f"{np.mean(inside):9.1%} {np.mean(found):16.1%} {np.mean(fitted):12.1%}"


def _null(kind: str, count: int, seeds: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if kind == "random walks":
        return walks(GRIDS[count], seeds, generator)
    if kind == "trends alone":
        return trends(GRIDS[count], seeds, 0.02, generator)
    return linked(GRIDS[count], seeds, LAG, 0.02, generator, link=False)


def _of(curves: np.ndarray) -> Callable[..., np.ndarray]:
    return lambda seeds: curves[list(seeds)]


def main(trials: int = 250) -> None:
    """Print the tables."""
    chance = 196 * math.sqrt(0.0475 / trials)
    print(f"{trials} trials; 95 % intervals; a share of 95 % is told to ± {chance:.1f} %")
    heads = f"{'covered':>9} {'if significant':>16} {'significant':>12} {'error':>10} {'at the edge':>12}"
    print(f"{'planted lag, factor 1.8':32} {heads}")
    for count in GRIDS:
        for seeds, noise in ((3, 0.02), (5, 0.005), (5, 0.02), (5, 0.05), (9, 0.02)):
            print(f"  {count:3} steps, {seeds} seeds, noise {noise:5} {lags(count, seeds, noise, trials)}", flush=True)
    print(f"{'no link':32} {'p ≤ 5 %':>9} {'any of 12, BH':>16}")
    for count in GRIDS:
        for kind in ("random walks", "trends alone", "unlinked steps"):
            print(f"  {count:3} steps, 5 seeds, {kind:13} {nothing(count, 5, kind, trials)}", flush=True)
    print(f"{'planted share':37} {'covered':>9} {'width':>8}")
    for count in GRIDS:
        for seeds, alike in ((1, 1.0), (3, 0.2), (3, 0.8), (5, 0.2), (5, 0.8), (9, 0.2), (9, 0.8)):
            told = f"{seeds} {'seeds' if seeds > 1 else 'seed'}, texts alike {alike}"
            print(f"  {count:3} steps, {told:24} {shares(count, seeds, alike, trials)}", flush=True)
    print(f"{'mixed model':32} {'covered':>9} {'found in none':>16} {'fitted':>12}")
    for seeds, layers, offsets in ((3, 7, (0.5, 0.3)), (5, 12, (0.5, 0.3)), (5, 12, (0.5, 0.0)), (9, 12, (0.0, 0.0))):
        told = f"offsets {offsets[0]}, {offsets[1]}"
        print(f"  {seeds} seeds, {layers:2} layers, {told} {slopes(seeds, layers, offsets, 2 * trials)}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
