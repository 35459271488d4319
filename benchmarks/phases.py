"""Are the phases that are found there, and what does finding them cost?

Planted curves have known boundaries; null curves have none. Grids: 10 to 154 checkpoints, those of 27 and 154 Pythia's.
Run `python -m benchmarks phases`; a number after it sets the trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import process_time

import numpy as np

from phasescope.measures import Phases, find_all_phases
from phasescope.measures._segment_search import refined
from phasescope.measures._segmented import grid_of

_EARLY = [0, *(2**i for i in range(10))]
PYTHIA = np.array([*_EARLY, *range(1000, 143001, 1000)], dtype=np.float64)
GRIDS = {
    10: np.array([*(10 * 2**i for i in range(9)), 4000], dtype=np.float64),
    12: np.array([*_EARLY, 1000], dtype=np.float64),
    20: np.array([*_EARLY, *(1000 * 2**i for i in range(8)), 143000], dtype=np.float64),
    27: np.array([*_EARLY, 1000, 3000, *range(13000, 143001, 10000)], dtype=np.float64),
    154: PYTHIA,
}
# Boundaries that are planted in piecewise-linear curves; a phase needs checkpoints to be seen.
BOUNDARIES = {12: 2, 27: 3, 154: 3}
ERRORS = ("independent", "AR(1) 0.5", "AR(1) 0.8")
WALKS = ("random walk", "random walk in x")
NULLS = ("constant + independent", "constant + AR(1) 0.5", "constant + AR(1) 0.8", *WALKS)
# Seeds, and which share of the variance of their errors is common to all.
SEEDS = ((2, 0.0), (6, 0.0), (2, 0.5), (6, 0.5), (6, 0.8))
# Seeds and errors of their consensus.
CONSENSUS = ((6, 0.02, ERRORS[1:2]), (6, 0.05, ERRORS[1:2]))
SHAPES = ("jump", "jump, then decline", "sigmoid")
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


def risen(shape: str, steps: np.ndarray, generator: np.random.Generator) -> Planted:
    """A curve that rises from 0 to 1 between two places: the edges of a jump, or where a sigmoid is at 10 and at 90 %.

    A jump lies between neighbouring checkpoints, two of which at least are on either side (three in a decline, to 0.65
    in log steps). A sigmoid in log steps has a width of 0.15 to 0.5 e-folds (10 to 90 %: 0.7 to 2.2), and its middle
    between a quarter and two thirds of the axis.
    """
    x = np.log1p(steps)
    order = np.arange(len(x))
    if shape == "sigmoid":
        width, middle = generator.uniform(0.15, 0.5), x[0] + (x[-1] - x[0]) * generator.uniform(0.25, 0.66)
        at = middle + width * np.log(9) * np.array([-1, 1])
        return Planted(at, np.interp(at, x, order), 1 / (1 + np.exp(-(x - middle) / width)))
    declines = shape == "jump, then decline"
    before = int(generator.integers(1, len(x) - 2 - declines))
    values = (order > before).astype(np.float64)
    if declines:
        values[before + 1 :] -= 0.35 * (x[before + 1 :] - x[before + 1]) / (x[-1] - x[before + 1])
    return Planted(x[before : before + 2], np.array([before, before + 1.0]), values)


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


def false_findings(
    steps: np.ndarray, kind: str, trials: int, seed: int, *, seeds: int = 1, shared: float = 0.0
) -> float:
    """The share of null curves in which a boundary is found; so much of the variance is common to all seeds."""
    generator = np.random.default_rng(seed)
    x = np.log1p(steps)
    own = errors(kind, x, trials * seeds, generator).reshape(trials, seeds, -1)
    curves = np.sqrt(1 - shared) * own + np.sqrt(shared) * errors(kind, x, trials, generator)[:, None]
    found = find_all_phases([(steps, curve) for curve in (curves if seeds > 1 else own)], resamples=1)
    return float(np.mean([bool(phases.boundaries) for phases in found]))


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


@dataclass(frozen=True)
class Rise:
    """How a planted rise is found.

    Attributes:
        found: the share of trials in which it is. Of a jump: two boundaries, each within one checkpoint, rising between
            them, and afterwards falling if it does, else neither; before, neither. Of a sigmoid: its middle lies in a
            rising phase that is neither first nor last, and nothing falls.
        peaks: the share whose interval of the peak holds a checkpoint at which the planted curve is at its highest, but
            for one standard deviation of the errors of its mean.
        width: the median width of that interval, in checkpoints.
    """

    found: float
    peaks: float
    width: float


def rise(steps: np.ndarray, shape: str, kind: str, noise: float, trials: int, seed: int, *, seeds: int = 1) -> Rise:
    """Of jumps and sigmoids with errors of so large a standard deviation (the rise is 1)."""
    generator = np.random.default_rng(seed)
    x = np.log1p(steps)
    truth = [risen(shape, steps, generator) for _ in range(trials)]
    curves = [(steps, t.values + noise * errors(kind, x, seeds, generator)) for t in truth]
    right, peaks, widths = [], [], []
    for t, found in zip(truth, find_all_phases(curves, resamples=300), strict=True):
        right.append(_is_right(found, t, x, shape))
        assert found.peak is not None
        high = t.values >= t.values.max() - noise / np.sqrt(seeds)
        peaks.append(bool((high & (steps >= found.peak.low) & (steps <= found.peak.high)).any()))
        widths.append(np.diff(np.searchsorted(steps, [found.peak.low, found.peak.high]))[0])
    return Rise(float(np.mean(right)), float(np.mean(peaks)), float(np.median(widths)))


def _is_right(found: Phases, truth: Planted, x: np.ndarray, shape: str) -> bool:
    ways = [phase.label.split()[-1] for phase in found.phases]
    middle = np.expm1(truth.x.mean())
    here = next(number for number, phase in enumerate(found.phases) if phase.end >= middle)
    if shape == "sigmoid":
        # Its round corners may be phases of their own.
        return 0 < here < len(ways) - 1 and ways[here] == "rising" and "falling" not in ways
    after = ["falling"] if shape == "jump, then decline" else ["flat", "undetermined"]
    return (
        len(ways) == 3
        and bool(_near(_x(found, "step"), truth.x, x).all())
        and ways[0] in ("flat", "undetermined")
        and ways[1] == "rising"
        and ways[2] in after
    )


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
    _cost()
    _nulls({points: (2 if points > 100 else 5) * trials for points in GRIDS})
    print(f"  Planted rises, {trials} each, grids of {', '.join(map(str, GRIDS))}: found, peaks covered, median width")
    for shape in SHAPES:
        for seeds, noise in ((1, 0.005), (1, 0.01), (1, 0.02), (4, 0.02)):
            for kind in ERRORS[:2]:
                rises = [rise(steps, shape, kind, noise, trials, seed=3, seeds=seeds) for steps in GRIDS.values()]
                told = "   ".join(f"{100 * r.found:4.0f} {100 * r.peaks:4.0f} {r.width:3.0f}" for r in rises)
                print(f"    {shape:18} {_seeds(seeds)} {noise:.1%} {kind:12} {told}", flush=True)
    print(f"  {trials} planted curves each: all boundaries within one checkpoint, what is possible, within one of 27;")
    print("  of boundaries: within one checkpoint, intervals that cover")
    for seeds, noise, kinds in ((1, 0.01, ERRORS), (1, 0.02, ERRORS), (1, 0.03, ERRORS), *CONSENSUS):
        for kind in kinds:
            found = [
                recovery(GRIDS[n], planted_, kind, noise, trials, seed=2, seeds=seeds)
                for n, planted_ in BOUNDARIES.items()
            ]
            print(f"    {_seeds(seeds)} {noise:.0%} {kind:12} {_told(found)}", flush=True)


def _cost() -> None:
    generator = np.random.default_rng(0)
    for curves, points in ((1, 154), (100, 154), (100, 20)):
        steps = GRIDS[points]
        shapes = [planted(steps, 3, generator).values for _ in range(curves)]
        noise = errors("AR(1) 0.5", np.log1p(steps), curves, generator) / 50
        many = [(steps, shape + own) for shape, own in zip(shapes, noise, strict=True)]
        begun = process_time()
        find_all_phases(many)
        seconds = process_time() - begun
        print(f"  {curves} curves × {points} checkpoints, 500 resamples: {seconds:.1f} s of a processor")


def _nulls(counts: dict[int, int]) -> None:
    print(f"  Null curves with a boundary, of {counts} (target: at most 5 %)")
    for kind in NULLS:
        _shares(kind, [false_findings(GRIDS[points], kind, count, seed=1) for points, count in counts.items()])
    for seeds, shared in SEEDS:
        for kind in WALKS:
            some = [
                false_findings(GRIDS[points], kind, count, seed=1, seeds=seeds, shared=shared)
                for points, count in counts.items()
            ]
            _shares(f"{kind}, {seeds} seeds, {shared:.0%} shared", some)


def _shares(what: str, shares: Sequence[float]) -> None:
    print(f"    {what:40}" + "".join(f"{100 * share:8.1f} %" for share in shares), flush=True)


def _seeds(number: int) -> str:
    return f"{number} seed{'s' if number > 1 else ' '}"


def _told(found: list[Recovery]) -> str:
    return "   ".join(
        f"{100 * r.all_near:4.0f} {100 * r.possible:4.0f} {100 * r.all_near_coarse:4.0f} "
        f"{100 * r.near:4.0f} {100 * r.covered:4.0f}"
        for r in found
    )


if __name__ == "__main__":
    main()
