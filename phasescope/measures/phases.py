"""In which stretches of training does a curve keep one trend?

A curve is taken for a continuous piecewise-linear function of x = log(1 + step) with errors that may be autocorrelated
(`_autocorrelated`), its bends at or between checkpoints (`_segmented`). How many phases there are is decided by an
information criterion whose penalty is calibrated, so that what has no phases, a random walk for one, seldom gets any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._phase_choice import chosen_of, fits_of
from phasescope.measures._phase_intervals import Found, redrawn
from phasescope.measures._segmented import MOST_BENDS, Grid, between, grid_of
from phasescope.measures._tensors import as_array

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int, Num

    from phasescope.measures._tensors import Array

FLAT, UNDETERMINED = "flat", "undetermined"
LABELS = (FLAT, "slowly rising", "sharply rising", "slowly falling", "sharply falling", UNDETERMINED)
# Checkpoints without which nothing can be said of errors, and so of trends.
FEWEST_POINTS = 5
# Of the pace at which a curve would go through its range once, evenly along x.
_FLAT, _SHARP = 0.1, 1.5
# Values of resampled curves that are held in memory together.
_AT_ONCE = 1_000_000
# A range smaller than this share of the values is rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Boundary:
    """The step at which one phase ends and the next begins, with its interval."""

    step: float
    low: float
    high: float


@dataclass(frozen=True)
class Phase:
    """A stretch with one trend; slope and its interval in units of the curve per e-fold of 1 + step, NaN if unknown."""

    start: float
    end: float
    label: str
    slope: float
    low: float
    high: float


@dataclass(frozen=True)
class Highest:
    """The step at which a curve is highest, with its interval (NaN if unknown)."""

    step: float
    low: float
    high: float
    at_end: bool


@dataclass(frozen=True)
class Phases:
    """What was found in one curve.

    Attributes:
        phases: in order; empty where fewer than two points are known.
        boundaries: one fewer.
        peak: None where no point is known.
        criterion: by how much the information criterion prefers these phases to a straight line; 0 for one phase.
        errors: which kind explains the curve best.
        points: checkpoints that count.
        steps, fitted: the piecewise-linear curve at these checkpoints.
    """

    phases: tuple[Phase, ...]
    boundaries: tuple[Boundary, ...]
    peak: Highest | None
    criterion: float = 0.0
    errors: str = ""
    points: int = 0
    steps: tuple[float, ...] = ()
    fitted: tuple[float, ...] = field(default=(), repr=False)


def find_phases(
    steps: Num[Array, "checkpoints"],
    values: Float[Array, "checkpoints"] | Float[Array, "seeds checkpoints"],
    *,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
    most: int = MOST_BENDS + 1,
) -> Phases:
    """The phases of a curve, or the consensus of several curves of one thing: the phases of their mean.

    Args:
        steps: of the checkpoints, at least 0, ascending.
        values: NaN is a point that is not there. Several curves (seeds) are compared where all have a value.
        resamples: of the bootstrap: errors are drawn anew, as autocorrelated as they were found to be; of several
            curves also the curves, and the wider interval of both counts.
        level: of the intervals.
        seed: of the bootstrap.
        most: phases.

    Raises:
        ValueError: the shapes do not match, or the steps do not ascend or are negative.
    """
    return find_all_phases([(steps, values)], resamples=resamples, level=level, seed=seed, most=most)[0]


def find_all_phases(
    curves: Sequence[tuple[Num[Array, "checkpoints"], Float[Array, "*seeds checkpoints"]]],
    *,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
    most: int = MOST_BENDS + 1,
) -> list[Phases]:
    """`find_phases` of many (steps, values): those with the same steps are searched together, which is faster."""
    known = [_known_points(steps, values) for steps, values in curves]
    found: list[Phases | None] = [None if _has_errors(seeds) else _plain(at, seeds) for at, seeds in known]
    grids: dict[tuple[float, ...], list[int]] = {}
    for number, (at, _) in enumerate(known):
        if found[number] is None:
            grids.setdefault(tuple(at.tolist()), []).append(number)
    for grid_steps, numbers in grids.items():
        grid = grid_of(grid_steps, most - 1)
        each = max(1, _AT_ONCE // (len(grid.x) * max(resamples, 100)))
        for some in (numbers[start : start + each] for start in range(0, len(numbers), each)):
            seeds, units = zip(*(_in_units(known[number][1]) for number in some), strict=True)
            fits = fits_of(grid, seeds)
            bends, criterion = chosen_of(fits)
            drawn = redrawn(fits, bends, seeds, resamples, seed)
            for place, number in enumerate(some):
                found[number] = _described(
                    grid, grid_steps, drawn[place], seeds[place], units[place], float(criterion[place]), level
                )
    return [phases for phases in found if phases is not None]


@dataclass(frozen=True)
class PhaseSearch:
    """`find_all_phases` as work that another process can do."""

    resamples: int
    level: float
    seed: int

    def of(
        self, curves: Sequence[tuple[Num[Array, "checkpoints"], Float[Array, "*seeds checkpoints"]]], numbers: object
    ) -> list[Phases]:
        """numbers: which curves they are, for the one who asks."""
        return find_all_phases(curves, resamples=self.resamples, level=self.level, seed=self.seed)


def _known_points(
    steps: Num[Array, "n"], values: Float[Array, "*seeds n"]
) -> tuple[Float64[np.ndarray, "known"], Float64[np.ndarray, "seeds known"]]:
    at, given = as_array(steps), as_array(values)
    seeds = np.atleast_2d(given)
    if at.ndim != 1 or seeds.ndim != 2 or seeds.shape[1] != len(at) or not len(seeds):
        raise ValueError(
            f"steps must be [checkpoints] and values [checkpoints] or [seeds, checkpoints]; they are "
            f"{list(at.shape)} and {list(given.shape)}"
        )
    if not (np.isfinite(at).all() and (at >= 0).all() and (np.diff(at) > 0).all()):
        raise ValueError("steps must be at least 0 and ascend")
    known = np.isfinite(seeds).all(0)
    return at[known], seeds[:, known]


def _has_errors(seeds: Float64[np.ndarray, "seeds n"]) -> bool:
    """Whether there is more to a curve than a line through a few points, or a constant."""
    if seeds.shape[1] < FEWEST_POINTS:
        return False
    return bool(np.ptp(seeds.mean(0)) > _ROUNDING * np.abs(seeds).max())


def _in_units(seeds: Float64[np.ndarray, "seeds n"]) -> tuple[Float64[np.ndarray, "seeds n"], tuple[float, float]]:
    """In units of the mean curve's range and seen from its mean, so that offset and scale cost no digits."""
    mean = seeds.mean(0)
    scale, offset = float(np.ptp(mean)), float(mean.mean())
    return (seeds - offset) / scale, (scale, offset)


def _plain(at: Float64[np.ndarray, "n"], seeds: Float64[np.ndarray, "seeds n"]) -> Phases:
    """Of a constant, or of too few points to tell a trend from errors: one phase; of one point or none: no phase."""
    if not len(at):
        return Phases((), (), None)
    mean, first, last = seeds.mean(0), float(at[0]), float(at[-1])
    place = int(mean.argmax())
    if len(at) >= FEWEST_POINTS:
        peak = Highest(first, first, last, False)
        return Phases((Phase(first, last, FLAT, 0.0, 0.0, 0.0),), (), peak, **_drawn(at, np.full(len(at), mean[0])))
    peak = Highest(float(at[place]), np.nan, np.nan, place == len(at) - 1)
    if len(at) == 1:
        return Phases((), (), peak, **_drawn(at, mean))
    slope, level = np.polyfit(np.log1p(at), mean, 1)
    phase = Phase(first, last, UNDETERMINED, float(slope), np.nan, np.nan)
    return Phases((phase,), (), peak, **_drawn(at, level + slope * np.log1p(at)))


def _drawn(at: Float64[np.ndarray, "n"], fitted: Float64[np.ndarray, "n"]) -> dict[str, Any]:
    return {"points": len(at), "steps": tuple(at.tolist()), "fitted": tuple(fitted.tolist())}


def _described(
    grid: Grid,
    at: tuple[float, ...],
    found: Found,
    seeds: Float64[np.ndarray, "seeds n"],
    unit: tuple[float, float],
    criterion: float,
    level: float,
) -> Phases:
    """Boundaries, slopes and peak with their intervals, and the labels."""
    (scale, offset), mean, bends, x = unit, seeds.mean(0), len(found.places), grid.x
    low, high = found.interval(level)
    places = (_step_at(x, part) for part in (found.places, low[:bends], high[:bends]))
    boundaries = tuple(Boundary(*edges) for edges in zip(*places, strict=True))
    edges = [at[0], *(boundary.step for boundary in boundaries), at[-1]]
    lengths = np.diff(np.concatenate([x[:1], between(x, found.places), x[-1:]])) / (x[-1] - x[0])
    pace = 1 / float(x[-1] - x[0])
    phases = tuple(
        Phase(start, end, label_of(slope, low, high, pace, length), slope * scale, low * scale, high * scale)
        for start, end, slope, low, high, length in zip(
            edges,
            edges[1:],
            *(part.tolist() for part in (found.slopes, low[bends:], high[bends:], lengths)),
            strict=False,
        )
    )
    heights = np.concatenate([[0.0], np.cumsum(lengths * found.slopes) / pace])
    shape = np.interp(x, np.log1p(edges), heights)
    fitted = offset + scale * (shape + (mean - shape).mean())
    peak = _highest(at, int(mean.argmax()), found.peaks, level)
    return Phases(
        phases, boundaries, peak, float(criterion), grid.bases[found.kind].error.name, **_drawn(np.asarray(at), fitted)
    )


def label_of(slope: float, low: float, high: float, pace: float, length: float) -> str:
    """The name of a trend.

    Rising or falling: the interval of the slope does not hold 0. Flat: whatever the slope within its interval, the
    curve changes by less than a tenth of its range; or the slope is told, and under a tenth of the pace. Undetermined:
    neither. Sharp: 1.5 times the pace or more.

    Args:
        slope, low, high, pace: all in the same unit; pace: the curve's range over the range of x: a straight line from
            the lowest to the highest value goes at it.
        length: of the phase, as a share of the range of x.
    """
    if low <= 0 <= high:
        return FLAT if max(-low, high) * length < _FLAT * pace else UNDETERMINED
    if abs(slope) < _FLAT * pace:
        return FLAT
    how = "sharply" if abs(slope) >= _SHARP * pace else "slowly"
    return f"{how} {'rising' if slope > 0 else 'falling'}"


def _step_at(x: Float64[np.ndarray, "n"], places: Float64[np.ndarray, "k"]) -> list[float]:
    """Places, counted in checkpoints, as steps."""
    return [float(step) for step in np.expm1(between(x, places))]


def _highest(at: tuple[float, ...], place: int, drawn: Int[np.ndarray, "resamples"], level: float) -> Highest:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="nearest").tolist()
    return Highest(at[place], at[min(low, place)], at[max(high, place)], place == len(at) - 1)
