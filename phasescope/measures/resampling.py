"""How sure is a number? Intervals by the bootstrap: the samples are drawn anew, with replacement, many times.

What is drawn is what is independent: sequences, not the tokens or sampled positions within one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def bootstrap_weights(samples: int, resamples: int, seed: int) -> Int64[Tensor, "resamples samples"]:
    """How often each sample is drawn in each resample; every row sums to `samples`. The same for the same seed.

    Where samples are k positions of each sequence, draw sequences and let their positions share the count:
    `bootstrap_weights(sequences, resamples, seed).repeat_interleave(k, dim=1)`.

    Raises:
        ValueError: there are no samples, or the number of resamples is negative.
    """
    if samples < 1 or resamples < 0:
        raise ValueError(f"cannot draw {resamples} resamples of {samples} samples")
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.multinomial(samples, np.full(samples, 1 / samples), size=resamples))


def interval(
    replicates: Float[Array, "resamples ..."], estimate: Float[Array, "..."], level: float = 0.95
) -> tuple[Float64[Tensor, "..."], Float64[Tensor, "..."]]:
    """The interval (low, high) of an estimate from its bootstrap replicates: their percentiles, re-centred.

    Resampling with replacement shifts some statistics: a resample holds fewer different samples, so biased CKA is
    higher in it, by much more than its spread where samples are few. The percentiles tell the spread, not the place;
    so they are moved by the difference between the estimate and the median replicate, and enclose the estimate. They
    may reach beyond a statistic's range, such as 1 for CKA.

    Args:
        replicates: the statistic in each resample. NaN replicates (not defined in that resample) do not count.
        estimate: the statistic of all samples.
        level: the share of replicates between low and high.

    Returns:
        (low, high), in the unit of the estimate; NaN where it or all its replicates are.

    Raises:
        ValueError: the shapes do not match, or the level is not between 0 and 1.
    """
    replicates, estimate = require_replicates(replicates, estimate, level)
    low, middle, high = percentiles(replicates, (1 - level) / 2, 0.5, (1 + level) / 2)
    return low - middle + estimate, high - middle + estimate


def percentiles(replicates: Float64[Tensor, "resamples ..."], *shares: float) -> tuple[Float64[Tensor, "..."], ...]:
    """For each share the value below which so much of the replicates lies: what torch.nanquantile gives.

    NaN replicates do not count. NumPy sorts by vector instructions: in a tenth of the time.
    """
    columns = replicates.reshape(len(replicates), -1).cpu().numpy()
    ordered = torch.from_numpy(np.sort(np.ascontiguousarray(columns.T), axis=1))  # NaN last
    known = (~ordered.isnan()).sum(1)
    ranks = torch.tensor(shares, dtype=torch.float64)[:, None] * (known - 1).clamp(min=0)
    below, above = (ordered.T.gather(0, place.long()) for place in (ranks.floor(), ranks.ceil()))
    found = below.lerp(above, ranks - ranks.floor()).to(replicates.device)
    return tuple(found.reshape(len(shares), *replicates.shape[1:]))


def require_replicates(
    replicates: Float[Array, "resamples ..."], estimate: Float[Array, "..."], level: float
) -> tuple[Float64[Tensor, "resamples ..."], Float64[Tensor, "..."]]:
    """Both in float64.

    Raises:
        ValueError: the shapes do not match, or the level is not between 0 and 1.
    """
    replicates, estimate = as_float64(replicates), as_float64(estimate)
    if not 0 < level < 1:
        raise ValueError(f"the level must be between 0 and 1; it is {level}")
    if replicates.ndim == 0 or replicates.shape[1:] != estimate.shape or replicates.shape[0] == 0:
        shapes = f"{shape_of(replicates)} and {shape_of(estimate)}"
        raise ValueError(f"replicates must be [resamples, ...] and the estimate [...]; they are {shapes}")
    return replicates, estimate


def clustered_mean_interval(
    values: Float[Array, "sequences ..."], *, seed: int = 0, level: float = 0.95, resamples: int = 1000
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""], Float64[Tensor, ""]]:
    """The mean of all values, and its interval by a bootstrap over sequences.

    Values of one sequence are not independent, so whole sequences are drawn, with all of their values. A NaN is a
    value that is not there; sequences that have more values weigh more, in the resamples as in the mean.

    Args:
        values: the first dimension is that of the sequences; all others are pooled.
        seed: of the resamples.
        level: as for `interval`.
        resamples: how many.

    Returns:
        (mean, low, high), in the unit of the values; NaN where there are no values, and (NaN low and high) where fewer
        than two sequences have any, since one says nothing of how they differ.

    Raises:
        ValueError: there is no dimension of sequences, no resample, or the level is not between 0 and 1.
    """
    values = as_float64(values)
    if values.ndim == 0:
        raise ValueError("values must be [sequences, ...]; they are a single number")
    rows = values.reshape(len(values), -1) if values.numel() else values.new_zeros(0, 1)
    counts = (~rows.isnan()).sum(1)
    sums, counts = rows.nansum(1)[counts > 0], counts[counts > 0]
    mean = sums.sum() / counts.sum()
    if len(sums) < 2:
        nan = torch.full_like(mean, torch.nan)
        return mean, nan, nan
    weights = bootstrap_weights(len(sums), resamples, seed).to(sums)
    low, high = interval((weights @ sums) / (weights @ counts.to(sums)), mean, level)
    return mean, low, high
