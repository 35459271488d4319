"""Are the phases that are found there, and what does finding them cost?

Planted curves have known boundaries, at any place of the log-step axis; null curves have none. Grids: 12, 27 and 154
checkpoints, the last two those of Pythia. Run `python -m benchmarks phases`; a number after it sets the trials.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time

import numpy as np

from phasescope.measures import Phases, find_all_phases
from phasescope.measures._segment_search import refined
from phasescope.measures._segmented import grid_of

PYTHIA = np.array([0, *(2**i for i in range(10)), *range(1000, 143001, 1000)], dtype=np.float64)
GRIDS = {
    12: np.array([0, *(2**i for i in range(10)), 1000], dtype=np.float64),
    27: np.array([0, *(2**i for i in range(10)), 1000, 3000, *range(13000, 143001, 10000)], dtype=np.float64),
    154: PYTHIA,
}
# Boundaries that are planted; a phase needs checkpoints to be seen.
BOUNDARIES = {12: 2, 27: 3, 154: 3}
ERRORS = ("independent", "AR(1) 0.5", "AR(1) 0.8")
NULLS = ("constant + independent", "constant + AR(1) 0.5", "constant + AR(1) 0.8", "random walk", "random walk in x")
# Seeds and errors of their consensus.
CONSENSUS = ((6, 0.02, ERRORS[1:2]), (6, 0.05, ERRORS[1:2]))
_SLOPES = np.array([0.0, -1.0, 1.2, -0.4])


@dataclass(frozen=True)
class Planted:
    """A curve from 0 to 1 with known boundaries (as x = log(1 + step), and counted in checkpoints)."""

    x: np.ndarray
    places: np.ndarray
    values: np.ndarray


def planted(steps: np.ndarray, boundaries: int, generator: np.random.Generator) -> Planted:
    """Phases of at least two intervals between checkpoints and 12 % of the axis: flat, fall, rise, slow fall."""
    x = np.log1p(steps)
    order = np.arange(len(x))
    while True:
        at = np.sort(generator.uniform(x[0], x[-1], boundaries))
        places = np.interp(at, x, order)
        edges = np.concatenate([x[:1], at, x[-1:]])
        apart = np.diff(np.concatenate([[0.0], places, [len(x) - 1.0]]))
        if (np.diff(edges) > 0.12 * (x[-1] - x[0])).all() and (apart >= 2).all():
            break
    heights = np.concatenate([[0.0], np.cumsum(np.diff(edges) * _SLOPES[: boundaries + 1])])
    values = np.interp(x, edges, heights) * generator.choice([-1, 1])
    return Planted(at, places, (values - values.min()) / np.ptp(values))


def errors(kind: str, x: np.ndarray, curves: int, generator: np.random.Generator) -> np.ndarray:
    """`[curves, n]`, of standard deviation 1 where they have one."""
    drawn = generator.standard_normal((curves, len(x)))
    if kind == "random walk":
        return drawn.cumsum(1)
    if kind == "random walk in x":
        return np.cumsum(drawn * np.sqrt(np.diff(x, prepend=x[0])), 1)
    correlation = float(kind.split()[-1]) if "AR(1)" in kind else 0.0
    made = drawn.copy()
    for i in range(1, len(x)):
        made[:, i] = correlation * made[:, i - 1] + np.sqrt(1 - correlation**2) * drawn[:, i]
    return made


def false_findings(steps: np.ndarray, kind: str, trials: int, seed: int) -> float:
    """The share of null curves in which a boundary is found."""
    generator = np.random.default_rng(seed)
    curves = errors(kind, np.log1p(steps), trials, generator)
    return float(np.mean([bool(p.boundaries) for p in find_all_phases([(steps, c) for c in curves], resamples=1)]))


def false_consensus(steps: np.ndarray, shared: float, trials: int, seed: int) -> float:
    """The share of six seeds' random walks whose mean has a boundary; so much of their variance is common to all."""
    generator = np.random.default_rng(seed)
    x = np.log1p(steps)
    own, common = (errors("random walk", x, trials * seeds, generator) for seeds in (6, 1))
    walks = np.sqrt(1 - shared) * own.reshape(trials, 6, -1) + np.sqrt(shared) * common[:, None]
    return float(np.mean([bool(p.boundaries) for p in find_all_phases([(steps, w) for w in walks], resamples=1)]))


@dataclass(frozen=True)
class Recovery:
    """How planted boundaries are found.

    Attributes:
        all_near: the share of trials with the right number of boundaries and all of them within one checkpoint.
        possible: the same for one who knows their number, the kind of the errors, and about where they are: what no
            choice of a number can raise.
        all_near_coarse: as all_near, within one of the 27 checkpoints, whatever the grid.
        near, covered: of the boundaries of trials with the right number, the share within one checkpoint, and the share
            whose interval holds the truth.
    """

    all_near: float
    possible: float
    all_near_coarse: float
    near: float
    covered: float


def recovery(
    steps: np.ndarray, boundaries: int, kind: str, noise: float, trials: int, seed: int, *, seeds: int = 1
) -> Recovery:
    """Of planted curves with errors of so large a standard deviation (the curve's range is 1)."""
    generator = np.random.default_rng(seed)
    x, coarse = np.log1p(steps), np.log1p(GRIDS[27])
    truth = [planted(steps, boundaries, generator) for _ in range(trials)]
    curves = [(steps, t.values + noise * errors(kind, x, seeds, generator)) for t in truth]
    near, coarse_near, covered = [], [], []
    for t, found in zip(truth, find_all_phases(curves, resamples=300), strict=True):
        if len(found.boundaries) == boundaries:
            near.append(_near(_x(found, "step"), t.x, x))
            coarse_near.append(_near(_x(found, "step"), t.x, coarse))
            covered.append((_x(found, "low") <= t.x + 1e-9) & (t.x - 1e-9 <= _x(found, "high")))
    possible = [_possible(t, values.mean(0), kind, steps) for t, (_, values) in zip(truth, curves, strict=True)]
    whole = [sum(bool(one.all()) for one in some) / trials for some in (near, coarse_near)]
    return Recovery(whole[0], float(np.mean(possible)), whole[1], float(np.mean(near)), float(np.mean(covered)))


def _near(found: np.ndarray, true: np.ndarray, x: np.ndarray) -> np.ndarray:
    order = np.arange(len(x))
    return np.abs(np.interp(found, x, order) - np.interp(true, x, order)) <= 1


def _possible(truth: Planted, values: np.ndarray, kind: str, steps: np.ndarray) -> bool:
    """Whether all are within one checkpoint where the true places are only moved to where they fit best."""
    grid = grid_of(tuple(steps))
    name = {"independent": "independent errors", "AR(1) 0.5": "autocorrelation 0.6", "AR(1) 0.8": "autocorrelation 0.8"}
    own = next(place for place, basis in enumerate(grid.bases) if basis.error.name == name[kind])
    products = grid.bases[own].error.whiten @ (values - values.mean()) @ grid.bases[own].columns
    places, _ = refined(grid, np.array([own]), products[None], truth.places[None])
    return bool((np.abs(places[0] - truth.places) <= 1).all())


def _x(found: Phases, edge: str) -> np.ndarray:
    return np.log1p([getattr(boundary, edge) for boundary in found.boundaries])


def main(trials: int = 200) -> None:
    """Print the tables."""
    generator = np.random.default_rng(0)
    for curves, resamples in ((1, 500), (100, 500)):
        shapes = [planted(PYTHIA, 3, generator).values for _ in range(curves)]
        noise = errors("AR(1) 0.5", np.log1p(PYTHIA), curves, generator) / 50
        many = [(PYTHIA, shape + own) for shape, own in zip(shapes, noise, strict=True)]
        begun = process_time()
        find_all_phases(many, resamples=resamples)
        seconds = process_time() - begun
        print(f"  {curves} curves × {len(PYTHIA)} checkpoints, {resamples} resamples: {seconds:.1f} s of a processor")
    counts = {points: (2 if points > 100 else 5) * trials for points in GRIDS}
    print(f"  Null curves with a boundary, of {counts} (target: at most 5 %)")
    for kind in NULLS:
        shares = [false_findings(steps, kind, counts[points], seed=1) for points, steps in GRIDS.items()]
        print(f"    {kind:24}" + "".join(f"{100 * share:8.1f} %" for share in shares), flush=True)
    for shared in (0.0, 0.5):
        rates = [false_consensus(steps, shared, counts[points], seed=1) for points, steps in GRIDS.items()]
        told = f"6 seeds, {shared:.0%} shared"
        print(f"    {told:24}" + "".join(f"{100 * rate:8.1f} %" for rate in rates), flush=True)
    print(f"  {trials} planted curves each: all boundaries within one checkpoint, what is possible, within one of 27;")
    print("  of boundaries: within one checkpoint, intervals that cover")
    for seeds, noise, kinds in ((1, 0.01, ERRORS), (1, 0.02, ERRORS), (1, 0.03, ERRORS), *CONSENSUS):
        for kind in kinds:
            found = [
                recovery(steps, BOUNDARIES[n], kind, noise, trials, seed=2, seeds=seeds) for n, steps in GRIDS.items()
            ]
            print(f"    {seeds} seed{'s' if seeds > 1 else ' '} {noise:.0%} {kind:12} {_told(found)}", flush=True)


def _told(found: list[Recovery]) -> str:
    return "   ".join(
        f"{100 * r.all_near:4.0f} {100 * r.possible:4.0f} {100 * r.all_near_coarse:4.0f} "
        f"{100 * r.near:4.0f} {100 * r.covered:4.0f}"
        for r in found
    )


if __name__ == "__main__":
    main()
