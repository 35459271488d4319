"""How does a token's perplexity move along training: up, down, up and down again, or not at all?

The classes of "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803), all
tokens at once. Perplexity of a token is exp(surprisal); it is compared within its own curve only, so that no
surprisal, however large, overflows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64, Int8, Int64, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array

# A class is its place in this tuple; NO_CLASS is a curve of which fewer than three checkpoints are known.
TRAJECTORY_CLASSES = ("stagnating", "decreasing", "increasing", "double descent", "fluctuating")
NO_CLASS = -1
# A line through two points fits both, whatever they are.
FEWEST_CHECKPOINTS = 3
# A stagnating token's mean lies this close to both ends of its curve.
_STAGNATION = 0.05
_TURNS = (0.25, 0.5, 0.75)
# Tokens at once: what is made of them stays in the processor's cache.
_CHUNK = 2048


@dataclass(frozen=True)
class Trend:
    """Lines fitted to many curves by least squares.

    Attributes:
        slope: unit of the curve per unit of x; NaN where fewer than three points are known.
        correlation: Pearson's, of curve and x; NaN also where the curve is constant.
        count: points known.
    """

    slope: Float64[Tensor, "..."]
    correlation: Float64[Tensor, "..."]
    count: Int64[Tensor, "..."]

    @property
    def p_value(self) -> Float64[Tensor, "..."]:
        """Two-sided, of Student's t with count − 2 degrees of freedom (exact for normal errors); NaN where no trend."""
        from scipy.special import betainc

        freedom = (self.count - 2).clamp(min=1).double().cpu()
        unexplained = ((1 - self.correlation) * (1 + self.correlation)).clamp(min=0).cpu()
        return torch.as_tensor(betainc((freedom / 2).numpy(), 0.5, unexplained.numpy()))

    def rises(self, alpha: float = 0.05) -> Bool[Tensor, "..."]:
        """Whether the slope is positive and its p-value below alpha."""
        return self.correlation > self._critical(alpha)

    def falls(self, alpha: float = 0.05) -> Bool[Tensor, "..."]:
        """Whether the slope is negative and its p-value below alpha."""
        return self.correlation < -self._critical(alpha)

    def _critical(self, alpha: float) -> Float64[Tensor, "..."]:
        """The correlation whose p-value is alpha: a look-up, far cheaper than the p-value of every curve."""
        from scipy.special import stdtrit

        most = int(self.count.max()) if self.count.numel() else 0
        freedom = torch.arange(most + 1, dtype=torch.float64).sub(2).clamp(min=1)
        t = torch.as_tensor(stdtrit(freedom.numpy(), 1 - alpha / 2))
        return (t / (t * t + freedom).sqrt()).to(self.correlation.device)[self.count]


def linear_trend(values: Float[Array, "... points"], x: Num[Array, "points"]) -> Trend:
    """The least-squares line through each curve, and what its significance is computed from.

    Agrees with `scipy.stats.linregress` curve by curve. A value that is not finite is a point that is not there.

    Raises:
        ValueError: the shapes do not match, or x is not finite.
    """
    values, x = as_float64(values), as_float64(x)
    if x.ndim != 1 or values.ndim == 0 or values.shape[-1] != len(x):
        raise ValueError(f"values must be [..., points] and x [points]; they are {shape_of(values)} and {shape_of(x)}")
    if not bool(x.isfinite().all()):
        raise ValueError("x must be finite")
    if not len(x):
        nothing = torch.full(values.shape[:-1], torch.nan, dtype=torch.float64)
        return Trend(nothing, nothing, torch.zeros(values.shape[:-1], dtype=torch.int64))
    known = _known(values)
    if known is None:
        count = torch.full(values.shape[:-1], len(x), device=values.device)
        first = values[..., :1]
    else:
        count = known.sum(-1)
        first = values.gather(-1, known.to(torch.int8).argmax(-1, keepdim=True))
    # Seen from its own first point a constant curve is exactly 0: rounding cannot give it a trend.
    y, across = _centred(values - first, known), _centred((x - x[:1]).to(values.device), known)
    along = y @ across if known is None else (y * across).sum(-1)
    spread, room = y.square().sum(-1), across.square().sum(-1)
    enough = (count >= FEWEST_CHECKPOINTS) & (room > 0)
    slope = torch.where(enough, along / room, torch.nan)
    correlation = torch.where(enough & (spread > 0), along / (room * spread).sqrt(), torch.nan)
    return Trend(slope, correlation.clamp(-1, 1), count)


def trajectory_classes(
    surprisal: Float[Array, "tokens checkpoints"], x: Num[Array, "checkpoints"], *, alpha: float = 0.05
) -> Int8[Tensor, "tokens"]:
    """The class of every token's trajectory: an index into `TRAJECTORY_CLASSES`, or `NO_CLASS`.

    Of a token's perplexity along x, in this order:

    - double descent: it rises up to a turning point and falls from there on, both slopes significant. Turning points
      are the checkpoints at a quarter, half and three quarters of the curve; they are fixed before the curve is seen,
      and alpha is divided by their number (Bonferroni), so that a curve that does not do both is taken for one that
      does in fewer than alpha of all cases.
    - increasing, decreasing: the slope of the whole curve is significant.
    - stagnating: neither, the geometric mean of the perplexity is within 5 % of its first and of its last value, and
      its variance is below that mean.
    - fluctuating: none of these.

    All but the first and the last are the study's (its published code, `classify_trends`), which has no test of double
    descent and leaves the remaining tokens without a name. Errors of neighbouring checkpoints are not independent, so
    significance is a rule by which tokens are sorted, not evidence about one of them.

    Args:
        surprisal: nats. What is not finite is a checkpoint that this token lacks.
        x: of the checkpoints; log(step) in the study.
        alpha: of the tests.

    Raises:
        ValueError: the shapes do not match.
    """
    surprisal, x = torch.as_tensor(surprisal), as_float64(x)
    if surprisal.ndim != 2 or surprisal.shape[1:] != x.shape:
        shapes = f"{shape_of(surprisal)} and {shape_of(x)}"
        raise ValueError(f"surprisal must be [tokens, checkpoints] and x [checkpoints]; they are {shapes}")
    if not surprisal.numel():
        return torch.full(surprisal.shape[:1], NO_CLASS, dtype=torch.int8)
    return torch.cat([_classes_of(as_float64(part), x, alpha) for part in torch.split(surprisal, _CHUNK)])


def _classes_of(
    surprisal: Float64[Tensor, "tokens checkpoints"], x: Float64[Tensor, "checkpoints"], alpha: float
) -> Int8[Tensor, "tokens"]:
    known = _known(surprisal)
    if known is not None:
        surprisal = surprisal.where(known, torch.nan)
    # Perplexity relative to the curve's own highest, less 1. Neither scale nor shift changes a slope's significance.
    highest = (surprisal if known is None else surprisal.nan_to_num(nan=-math.inf)).amax(1)
    perplexity = torch.expm1(surprisal - highest[:, None])
    trend = linear_trend(perplexity, x)
    found = torch.full(surprisal.shape[:1], TRAJECTORY_CLASSES.index("fluctuating"), dtype=torch.int8)
    for name, has in (
        ("stagnating", _stagnates(surprisal, perplexity, highest, known)),
        ("decreasing", trend.falls(alpha)),
        ("increasing", trend.rises(alpha)),
        ("double descent", _rises_and_falls(perplexity, x, alpha)),
    ):
        found[has] = TRAJECTORY_CLASSES.index(name)
    found[trend.count < FEWEST_CHECKPOINTS] = NO_CLASS
    return found


def _stagnates(
    surprisal: Float64[Tensor, "tokens checkpoints"],
    perplexity: Float64[Tensor, "tokens checkpoints"],
    highest: Float64[Tensor, "tokens"],
    known: Bool[Tensor, "tokens checkpoints"] | None,
) -> Bool[Tensor, "tokens"]:
    """In logarithms, since perplexity itself may be too large a number."""
    if known is None:
        first, last, count = surprisal[:, 0], surprisal[:, -1], torch.tensor(surprisal.shape[1])
    else:
        count, places = known.sum(1), torch.arange(known.shape[1])
        first = surprisal.gather(1, known.to(torch.int8).argmax(1, keepdim=True))[:, 0]
        last = surprisal.gather(1, torch.where(known, places, 0).amax(1, keepdim=True))[:, 0]
    mean = surprisal.nansum(1) / count
    near = torch.ones(len(surprisal), dtype=torch.bool)
    for end in (first, last):
        near &= (mean - end > math.log(1 - _STAGNATION)) & (mean - end < math.log(1 + _STAGNATION))
    variance = _centred(perplexity, known).square().sum(1) / count
    return near & (variance.log() + 2 * highest < mean)


def _rises_and_falls(
    perplexity: Float64[Tensor, "tokens checkpoints"], x: Float64[Tensor, "checkpoints"], alpha: float
) -> Bool[Tensor, "tokens"]:
    """Both parts hold the turning point itself."""
    last = len(x) - 1
    turns = {round(share * last) for share in _TURNS}
    turns = {turn for turn in turns if FEWEST_CHECKPOINTS - 1 <= turn <= last - FEWEST_CHECKPOINTS + 1}
    found = torch.zeros(len(perplexity), dtype=torch.bool)
    for turn in turns:
        up = linear_trend(perplexity[:, : turn + 1], x[: turn + 1]).rises(alpha / len(turns))
        # Most tokens do not even rise, and need no second look.
        rows = up.nonzero()[:, 0]
        found[rows] |= linear_trend(perplexity[rows, turn:], x[turn:]).falls(alpha / len(turns))
    return found


def _known(values: Float64[Tensor, "... points"]) -> Bool[Tensor, "... points"] | None:
    """Which points are there; None where all are, as in most curves, which then cost a third of the time."""
    return None if bool(values.sum().isfinite()) else values.isfinite()


def _centred(
    values: Float64[Tensor, "... points"], known: Bool[Tensor, "... points"] | None
) -> Float64[Tensor, "... points"]:
    """The values less their mean over known points; 0 where they are not known."""
    if known is None:
        return values - values.mean(-1, keepdim=True)
    values = torch.where(known, values, 0.0)
    return (values - (values.sum(-1) / known.sum(-1)).unsqueeze(-1)).masked_fill_(~known, 0.0)
