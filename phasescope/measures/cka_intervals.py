"""How sure is a CKA? Its replicates, moved to the estimate and spread as few sequences need.

Three things are wrong with percentiles of the replicates as they are, all of them where sequences are few.

*They are too narrow.* Resamples of n draw from a variance that is (n − 1)/n of what it should be, and percentiles are
those of a normal distribution where a t(n − 1) is due. So distances from the middle are multiplied by
√(n/(n − 1)) · t(n − 1)/z, as a t-interval of a mean is wider: 1.06 of 32 sequences, 1.01 of 128. (The expanded
percentile interval of Hesterberg 2015, which takes percentiles further out for it. Of a normal distribution that is the
same; but 500 replicates do not tell them as well.)

*Replicates of the biased CKA lie elsewhere*: copies of a row are perfectly alike, so they are nearer 1, and there CKA
varies less. It is the cosine of an angle between Gram matrices; that angle is a metric (Williams et al. 2021), and its
spread depends less on the place. So they are moved as angles, by the difference of the estimate from their median; and
no end comes to lie beyond 0 or 1.

*The debiased CKA is a ratio of unbiased estimates and not unbiased itself*: of few sequences it is too low by a quarter
of its standard error. Its replicates are too low in the mean, not in the median, for they reach far down. So it is
their mean that is moved to the estimate. It may be negative, is no cosine, and is moved as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64
from phasescope.measures.resampling import percentiles, require_replicates

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def cka_replicates(
    replicates: Float[Array, "resamples ..."],
    cka: Float[Array, "..."],
    sequences: int,
    *,
    level: float = 0.95,
    debiased: bool = False,
) -> Float64[Tensor, "resamples ..."]:
    """Replicates of CKA around the estimate, whose percentiles at this level are its interval.

    Args:
        replicates: CKA in each resample, as `FinalState.resampled` gives it. NaN replicates do not count.
        cka: the CKA of all samples.
        sequences: how many were drawn in each resample, independent of each other; several samples may come from one.
            Of a single one nothing varies, and nothing is spread.
        level: of the interval that is made of them.
        debiased: whether it is the debiased CKA.

    Returns:
        No unit; 0 … 1, debiased −1 … 1. NaN where the replicate is or the estimate.

    Raises:
        ValueError: the shapes do not match, the level is not between 0 and 1, or there are no sequences.

    Sources: Hesterberg 2015, *What Teachers Should Know About the Bootstrap* (arXiv 1411.5279), for how much wider;
    Williams et al. 2021 (arXiv 2110.14739) for the angle.
    """
    replicates, cka = require_replicates(replicates, cka, level)
    wider = expansion(sequences, level)
    if debiased:
        drawn = replicates.clamp(-1, 1)  # as the estimate is
        return (cka + wider * (drawn - drawn.nanmean(0))).clamp(-1, 1)
    angles = replicates.clamp(0, 1).arccos()
    moved = cka.clamp(0, 1).arccos() + wider * (angles - percentiles(angles, 0.5)[0])
    return moved.clamp(0, torch.pi / 2).cos()


def cka_interval(
    replicates: Float[Array, "resamples ..."],
    cka: Float[Array, "..."],
    sequences: int,
    *,
    level: float = 0.95,
    debiased: bool = False,
) -> tuple[Float64[Tensor, "..."], Float64[Tensor, "..."]]:
    """The interval (low, high) of a CKA: the percentiles of its `cka_replicates`, with the same arguments and errors.

    It encloses the estimate; where nearly all replicates lie on one side of their mean, it ends there.
    """
    return around(cka, cka_replicates(replicates, cka, sequences, level=level, debiased=debiased), level)


def around(
    cka: Float[Array, "..."], replicates: Float64[Tensor, "resamples ..."], level: float
) -> tuple[Float64[Tensor, "..."], Float64[Tensor, "..."]]:
    """The interval (low, high) of a CKA that its `cka_replicates` at this level give."""
    low, high = percentiles(replicates, (1 - level) / 2, (1 + level) / 2)
    cka = as_float64(cka).to(low)
    return low.minimum(cka), high.maximum(cka)


def expansion(sequences: int, level: float) -> float:
    """By how much a bootstrap of so few is too narrow: √(n/(n − 1)) · t(n − 1)/z, at the ends of an interval.

    Raises:
        ValueError: there are no sequences.
    """
    from scipy.special import ndtri, stdtrit

    if sequences < 1:
        raise ValueError(f"an interval needs sequences; there are {sequences}")
    if sequences == 1:
        return 1.0
    end = (1 + level) / 2
    return float((sequences / (sequences - 1)) ** 0.5 * stdtrit(sequences - 1, end) / ndtri(end))
