"""Curves of several models at the same perplexity, instead of at the same step.

"Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803) draws behaviour against
validation perplexity, and finds that sizes which lie apart at the same step line up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64
    from numpy import ndarray

    Array = ndarray[Any, Any]


@dataclass(frozen=True)
class PerplexityCurve:
    """A behaviour of one model along training, with the model's perplexity at the same checkpoints.

    Attributes:
        steps: of the checkpoints, ascending.
        log_perplexity: at each, in nats: the mean surprisal of the validation text.
        values: of the behaviour. Checkpoints at which it, or the perplexity, is not finite do not count.

    Only checkpoints at which perplexity is lower than at every earlier one have a place on the perplexity axis
    (`falling`): perplexity may go up again, and a value at 20 on the way down is not one at 20 on the way up.
    """

    steps: Float64[Array, "checkpoints"]
    log_perplexity: Float64[Array, "checkpoints"]
    values: Float64[Array, "checkpoints"]

    @cached_property
    def _known(self) -> tuple[Array, Array, Array]:
        """Steps on a log axis that has a place for step 0, log-perplexity and values, where all are finite."""
        steps, log_perplexity, values = (
            np.asarray(part, float) for part in (self.steps, self.log_perplexity, self.values)
        )
        keep = np.isfinite(log_perplexity) & np.isfinite(values)
        return np.log1p(steps[keep]), log_perplexity[keep], values[keep]

    @cached_property
    def falling(self) -> Array:
        """Places of the checkpoints, among those that count, at which perplexity is lower than ever before."""
        lowest = np.minimum.accumulate(self._known[1])
        return np.flatnonzero(np.r_[True, np.diff(lowest) < 0]) if len(lowest) else np.arange(0)

    @property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest log-perplexity that have a value; (NaN, NaN) where there is none."""
        log_perplexity = self._known[1][self.falling]
        return (float(log_perplexity[-1]), float(log_perplexity[0])) if len(log_perplexity) else (np.nan, np.nan)

    def at(self, log_perplexity: Float64[Array, "points"]) -> Float64[Array, "points"]:
        """The values there, linear in log-perplexity between checkpoints; NaN outside the range: no extrapolation."""
        return self._interpolated(log_perplexity, self._known[2])

    def step_at(self, log_perplexity: Float64[Array, "points"]) -> Float64[Array, "points"]:
        """The step at which the model has that perplexity, interpolated in log(1 + step); NaN outside the range."""
        return np.expm1(self._interpolated(log_perplexity, self._known[0]))

    def at_step(self, steps: Float64[Array, "points"]) -> Float64[Array, "points"]:
        """The values at those steps, linear in log(1 + step); NaN before the first and after the last checkpoint."""
        places, _, values = self._known
        if not len(places):
            return np.full(len(steps), np.nan)
        # The way through logarithms and back may round a step just beyond the end of the curve.
        wanted = np.log1p(steps)
        inside = (wanted >= places[0] - 1e-9) & (wanted <= places[-1] + 1e-9)
        return np.where(inside, np.interp(wanted, places, values), np.nan)

    def _interpolated(self, wanted: Array, values: Array) -> Array:
        falling = self.falling[::-1]  # ascending in perplexity
        if not len(falling):
            return np.full(len(wanted), np.nan)
        return np.interp(wanted, self._known[1][falling], values[falling], left=np.nan, right=np.nan)


def shared_range(curves: list[PerplexityCurve]) -> tuple[float, float] | None:
    """The log-perplexities that all curves pass through; None where there are none, or a curve has none."""
    lowest, highest = (np.array([curve.range[end] for curve in curves]) for end in (0, 1))
    # NaN where a curve has no points, and then in whatever order the curves are.
    shared = float(lowest.max()), float(highest.min())
    return shared if shared[1] > shared[0] else None


def curve_distances(
    a: PerplexityCurve, b: PerplexityCurve, *, within: tuple[float, float] | None = None, points: int = 32
) -> tuple[float, float]:
    """How far apart two curves are at the same perplexity, and at the same step.

    At points evenly spaced in log-perplexity over the shared range, the value of each curve is compared with the
    other's at the same perplexity, and with the other's at the step at which the curve itself has that perplexity. Both
    means are over the same points, so that they can be set in relation: where sizes line up against perplexity, the
    first is the smaller.

    Args:
        within: log-perplexities to which the comparison is confined; None: all that both have.
        points: how many.

    Returns:
        (mean absolute distance against perplexity, the same against steps), unit of the values; NaN where the ranges
        of perplexity do not overlap, or no point has a step that both curves cover.
    """
    shared = shared_range([a, b])
    if shared is not None and within is not None:
        shared = max(shared[0], within[0]), min(shared[1], within[1])
    if shared is None or shared[0] >= shared[1]:
        return np.nan, np.nan
    places = np.linspace(*shared, points)
    apart = np.abs(a.at(places) - b.at(places))
    by_step = [np.abs(here.at(places) - other.at_step(here.step_at(places))) for here, other in ((a, b), (b, a))]
    known = [np.isfinite(distances) & np.isfinite(apart) for distances in by_step]
    if not any(part.any() for part in known):
        return np.nan, np.nan
    against_perplexity = np.concatenate([apart[part] for part in known])
    against_steps = np.concatenate([distances[part] for distances, part in zip(by_step, known, strict=True)])
    return float(against_perplexity.mean()), float(against_steps.mean())
