"""Does one curve move before or after another? The lag at which their speeds along training are most alike.

Speed is change per log step: training is fast early and slow late, and a log axis makes transitions of both comparable.
A lag on that axis is a factor in steps: two curves that are ln 2 apart reach the same point at steps n and 2n.

Several seeds are what makes a lag more than a comparison of two shapes. Any two curves that each rise once have *some*
lag at which they fit perfectly, and shifting one in a circle, or randomising its phases, does not tell a coincidence
from a link: the best lag takes the shift back, and a curve with its steep part anywhere is not what training does. So
the null keeps every curve whole, trend and autocorrelation with it, and breaks only who belongs to whom: the seeds of
one side are exchanged (Fisher's permutation test; the largest correlation over all lags is compared, so that the
search for the best lag is paid for). It is exact for any shape of curve, and needs five seeds or more to say anything.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._lag_resampling import drawn_correlations

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

FEWEST_STEPS = 10
"""Checkpoints below which a lag is not looked for."""
_DOUBLING = math.log(2)
# Places per doubling at which speeds are compared; between them the lag is interpolated.
_FINE = 4
# The longest lag looked for, as a share of the whole range: what is left to compare are two thirds.
_LONGEST = 1 / 3
# Up to this many exchanges of seeds (7 seeds) are all tried; of more, so many are drawn.
_MOST_EXCHANGES = 5040
_DRAWN_EXCHANGES = 1999
_DRAWN_SEEDS = 200


@dataclass(frozen=True)
class SpeedGrid:
    """Where speeds are measured: evenly in ln(1 + step), from checkpoints that lie anywhere.

    Attributes:
        places: ln(1 + step), evenly spaced.
        smooth: turns the values at the checkpoints into speeds at the places (change per unit of ln(1 + step)), with
            smooth curves between checkpoints.
        straight: the same with straight lines between checkpoints: what differs is what the checkpoints do not tell.
    """

    places: Float64[np.ndarray, "places"]
    smooth: Float64[np.ndarray, "places steps"]
    straight: Float64[np.ndarray, "places steps"]

    @property
    def spacing(self) -> float:
        """Between two places, in ln(1 + step)."""
        return float(self.places[1] - self.places[0])

    @property
    def longest(self) -> int:
        """The longest lag looked for, in places."""
        return int(_LONGEST * len(self.places))


@dataclass(frozen=True)
class Lag:
    """At which lag two curves are most alike.

    Attributes:
        lag: in ln steps; positive: the first moves after the second.
        low, high: its interval: over seeds (the wider of delete-one jackknife and bootstrap, Student's t), widened by
            what the gaps between checkpoints leave open; NaN below three seeds.
        correlation: of the speeds at that lag, over places and seeds.
        p: how often seeds exchanged at random are as alike at any lag; NaN where it cannot fall below 5 %.
        at_edge: whether the best lag is the longest looked for, so that the true one may lie beyond.
    """

    lag: float
    low: float
    high: float
    correlation: float
    p: float
    at_edge: bool


def speed_grid(steps: Sequence[int]) -> SpeedGrid | None:
    """The grid for these checkpoints; None where they are fewer than ten, or span too little to look for a lag.

    A speed is a difference over one doubling of steps, of curves averaged over half a doubling, so that many late
    checkpoints average their noise away; between checkpoints curves are smooth in ln(1 + step). Where the first
    checkpoints lie further apart than three doublings (0, then 1000) they tell nothing of when between them a curve
    moved: the grid begins after such gaps.
    """
    places = np.log1p(np.asarray(steps, np.float64))
    if len(places) > 1 and not bool((np.diff(places) > 0).all()):
        raise ValueError("steps must ascend")
    first = 0
    while first + 1 < len(places) and places[first + 1] - places[first] > 3 * _DOUBLING + 1e-9:
        first += 1
    used = places[first:]
    if len(used) < FEWEST_STEPS or used[-1] - used[0] < 6 * _DOUBLING:
        return None
    number = int((used[-1] - used[0] - _DOUBLING) / (_DOUBLING / _FINE)) + 1
    middle = used[0] + _DOUBLING / 2 + np.arange(number) * _DOUBLING / _FINE
    operators = []
    for curves in (_smooth, _straight):
        ahead, behind = (_averages(curves(used), used, middle + side * _DOUBLING / 2) for side in (1, -1))
        operators.append(np.zeros((number, len(places))))
        operators[-1][:, first:] = (ahead - behind) / _DOUBLING
    return SpeedGrid(middle, *operators)


def best_lag(
    first: Float64[np.ndarray, "seeds steps"],
    second: Callable[[Sequence[int]], Float64[np.ndarray, "seeds steps"]],
    grid: SpeedGrid,
    *,
    level: float = 0.95,
    seed: int = 0,
) -> Lag:
    """The lag of `first` behind `second`, with its interval over seeds and its significance.

    Args:
        first: one curve per seed, for example CKA to the final state.
        second: given which seeds (their places in `first`), their curves. A function, because a curve of one seed may
            depend on which others there are, as KL between seeds does.
        grid: of the checkpoints that all these curves have.
        level: of the interval.
        seed: of the exchanges that are drawn where there are more than 5040.

    Returns:
        NaN throughout where one side does not move at all.
    """
    everyone = list(range(len(first)))
    other = second(everyone)
    products = _products(first @ grid.smooth.T, other @ grid.smooth.T, grid.longest)
    together = np.einsum("kss->k", products)
    if not np.isfinite(together).all():
        return Lag(math.nan, math.nan, math.nan, math.nan, math.nan, False)
    sign = float(np.sign(together[np.abs(together).argmax()])) or 1.0
    lag, height, at_edge = _peak(sign * together, grid)
    half = math.nan
    if len(everyone) > 2:
        parts = [[one for one in everyone if one != left_out] for left_out in everyone]
        without = [_lag_of(first[rest], second(rest), grid, grid.smooth, sign) for rest in parts]
        # Where several lags fit nearly as well, no single seed may move the best one: the jackknife is too narrow then.
        over_seeds = max(_jackknife(without), _over_drawn_seeds(first, other, grid, lag, sign, seed))
        open_between = lag - _lag_of(first, other, grid, grid.straight, sign)
        half = math.hypot(_t(level, len(everyone) - 1) * over_seeds, _t(level, math.inf) * open_between)
    p = _significance(products, together, seed)
    return Lag(lag, lag - half, lag + half, sign * height, p, at_edge)


def _lag_of(
    first: Float64[np.ndarray, "seeds steps"],
    second: Float64[np.ndarray, "seeds steps"],
    grid: SpeedGrid,
    operator: Float64[np.ndarray, "places steps"],
    sign: float,
) -> float:
    together = np.einsum("kss->k", _products(first @ operator.T, second @ operator.T, grid.longest))
    return _peak(sign * together, grid)[0] if np.isfinite(together).all() else math.nan


def _smooth(knots: Float64[np.ndarray, "steps"]) -> Any:
    """Cubic Hermite pieces with the slopes of parabolas through three knots each, one curve per unit vector."""
    from scipy.interpolate import CubicHermiteSpline

    units = np.eye(len(knots))
    return CubicHermiteSpline(knots, units, np.gradient(units, knots, axis=0, edge_order=2))


def _straight(knots: Float64[np.ndarray, "steps"]) -> Any:
    """Straight lines from knot to knot, one curve per unit vector."""
    from scipy.interpolate import make_interp_spline

    return make_interp_spline(knots, np.eye(len(knots)), k=1)


def _averages(
    curves: Any, knots: Float64[np.ndarray, "steps"], centres: Float64[np.ndarray, "places"]
) -> Float64[np.ndarray, "places steps"]:
    """What curves are on average, half a doubling wide around each centre (narrower at the ends).

    Curves between knots are linear in the values at the knots, so the averages of the curves of unit vectors are the
    weights of each value.
    """
    integral = curves.antiderivative()
    left = np.clip(centres - _DOUBLING / 4, knots[0], knots[-1])
    right = np.clip(centres + _DOUBLING / 4, knots[0], knots[-1])
    averages: Float64[np.ndarray, "places steps"] = (integral(right) - integral(left)) / (right - left)[:, None]
    return averages


def _products(
    first: Float64[np.ndarray, "seeds places"], second: Float64[np.ndarray, "seeds places"], longest: int
) -> Float64[np.ndarray, "lags seeds seeds"]:
    """At each lag, how alike each seed's first is to each seed's second; the diagonal sums to Pearson's correlation.

    Centred and scaled over all seeds and over the places that both have at that lag, so that an exchange of seeds
    changes neither.
    """
    places = first.shape[1]
    made = np.full((2 * longest + 1, len(first), len(second)), np.nan)
    for row, shift in enumerate(range(-longest, longest + 1)):
        x = first[:, max(shift, 0) : places + min(shift, 0)]
        y = second[:, max(-shift, 0) : places - max(shift, 0)]
        x, y = x - x.mean(), y - y.mean()
        scale = np.linalg.norm(x) * np.linalg.norm(y)
        if scale > 1e-12:  # what is left of a constant are rounding errors
            made[row] = x @ y.T / scale
    return made


def _peak(correlations: Float64[np.ndarray, "lags"], grid: SpeedGrid) -> tuple[float, float, bool]:
    """The highest correlation's lag and height, between places by the parabola through three of them."""
    top = int(correlations.argmax())
    at_edge = top in (0, len(correlations) - 1)
    shift, height = 0.0, float(correlations[top])
    if not at_edge:
        before, here, after = (float(value) for value in correlations[top - 1 : top + 2])
        bend = before - 2 * here + after
        if bend < 0:
            shift = 0.5 * (before - after) / bend
            height = min(here - (before - after) * shift / 4, 1.0)
    return (top - grid.longest + shift) * grid.spacing, height, at_edge


def _significance(
    products: Float64[np.ndarray, "lags seeds seeds"], together: Float64[np.ndarray, "lags"], seed: int
) -> float:
    """The share of exchanges of seeds with as high a correlation at any lag, the true pairing among them."""
    seeds = products.shape[1]
    if seeds < 5:
        return math.nan
    highest = np.abs(together).max() - 1e-12
    exchanges = _exchanges(seeds, seed)
    drawn = products[:, np.arange(seeds), exchanges].sum(-1)  # [lags, exchanges]
    return float((np.abs(drawn).max(0) >= highest).mean())


def _exchanges(seeds: int, seed: int) -> Int[np.ndarray, "exchanges seeds"]:
    """All orders of the seeds, or where they are too many, some of them; the true one is the first."""
    if math.factorial(seeds) <= _MOST_EXCHANGES:
        return np.array(list(permutations(range(seeds))))
    generator = np.random.default_rng(seed)
    drawn = [generator.permutation(seeds) for _ in range(_DRAWN_EXCHANGES)]
    return np.array([np.arange(seeds), *drawn])


def _over_drawn_seeds(
    first: Float64[np.ndarray, "seeds steps"],
    second: Float64[np.ndarray, "seeds steps"],
    grid: SpeedGrid,
    lag: float,
    sign: float,
    seed: int,
) -> float:
    """The standard error of a lag from seeds drawn anew with replacement; 0 where no draw has a lag.

    n drawn from n vary less around their mean than n around theirs, by (n − 1) / n.
    """
    seeds = len(first)
    counts = np.random.default_rng(seed).multinomial(seeds, np.full(seeds, 1 / seeds), _DRAWN_SEEDS)
    drawn = drawn_correlations(first @ grid.smooth.T, second @ grid.smooth.T, grid.longest, counts).T
    lags = np.array([_peak(sign * one, grid)[0] for one in drawn if np.isfinite(one).all()])
    return float(np.sqrt(((lags - lag) ** 2).mean() * seeds / (seeds - 1))) if len(lags) else 0.0


def _jackknife(values: Sequence[float]) -> float:
    """The standard error of an estimate from what it is without each seed."""
    each = np.asarray(values)
    return float(np.sqrt((len(each) - 1) / len(each) * ((each - each.mean()) ** 2).sum()))


def _t(level: float, freedom: float) -> float:
    from scipy.stats import t

    return float(t.ppf((1 + level) / 2, freedom))
