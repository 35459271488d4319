"""The shape of a cloud of activations: how many dimensions it has, how it lies, how sparse its samples are."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of, unit_rows

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array

# Facco et al. leave out the tenth with the largest ratios, where the density is not constant.
_DISCARDED = 0.1
# What is left of terms that cancel, as a share of them, where float32 still gives it to 1e-5.
_CANCELLED = 0.02


def participation_ratio(
    x: Float[Array, "samples d"], weights: Float[Array, "*resamples samples"] | None = None
) -> Float64[Tensor, "*resamples"]:
    """The number of dimensions that hold the variance: (Σλ)² / Σλ², λ the eigenvalues of the covariance.

    d for a round cloud, 1 for a line; it counts large directions only, where the effective rank counts the small ones
    too (Gao et al. 2017, bioRxiv 214262).

    Args:
        x: activations, one row per sample.
        weights: how often each sample was drawn, if at all: that of the resampled rows, for each row of counts.

    Returns:
        No unit; 1 … min(d, samples − 1). NaN without variance, or where a value is NaN or infinite.

    Raises:
        ValueError: x is not a matrix, or the shapes do not match.

    >>> round(float(participation_ratio(torch.cat([torch.eye(4), -torch.eye(4)]))), 6)
    4.0
    """
    x = _matrix(x)
    centred = x - x[:1]
    centred = centred - centred.mean(0)
    centred = centred / centred.abs().amax() if centred.numel() else centred
    if weights is not None:
        return _resampled_participation(centred, _counts(weights, x))
    gram = centred @ centred.mT if len(x) < x.shape[1] else centred.mT @ centred
    return gram.trace().square() / gram.square().sum()


def _resampled_participation(
    x: Float64[Tensor, "samples d"], counts: Float64[Tensor, "... samples"]
) -> Float64[Tensor, "..."]:
    """Of rows drawn so often, from products of the counts w with K = XXᵀ alone.

    Their covariance C, times n: tr C = Σ w K_ii − wᵀKw / n, and ‖C‖² = wᵀ(K∘K)w − 2 Σ w (Kw)² / n + (wᵀKw)² / n².
    Products in float32, unless a resample leaves so little of its terms that their rounding would tell.
    """
    K = x @ x.mT
    n = counts.sum(-1)
    for dtype in (torch.float32, torch.float64):
        w, gram = counts.to(dtype), K.to(dtype)
        reached = w @ gram
        mean, around = (reached * w).sum(-1).double(), (reached.square() * w).sum(-1).double()
        squares = ((w @ gram.square()) * w).sum(-1).double()
        own = counts @ K.diagonal()
        trace, spread = own - mean / n, squares - 2 * around / n + (mean / n).square()
        if bool(((trace > _CANCELLED * own) & (spread > _CANCELLED * squares)).all()):
            break
    # Copies of one sample have no variance but rounding.
    return torch.where(trace > 1e-12 * K.diagonal().max() * n, trace.square() / spread, torch.nan)


def two_nn_ratios(x: Float[Array, "samples d"]) -> Float64[Tensor, "samples"]:
    """For each sample how much farther its second nearest neighbour is than its first: 1 or more, no unit.

    NaN for samples that have a copy (their nearest neighbour is at no distance), for all where there are fewer than 3
    samples or a value is not finite. By Euclidean distance.

    Raises:
        ValueError: x is not a matrix.
    """
    x = _matrix(x)
    if len(x) < 3 or not bool(x.isfinite().all()):
        return x.new_full((len(x),), torch.nan)
    x = x - x.mean(0)
    x = x / x.abs().amax() if x.numel() else x
    # The two nearest by squared distances in one product; their distances again, without its rounding.
    squares = x.square().sum(1)
    far = squares[:, None] + squares - 2 * x @ x.mT
    far.fill_diagonal_(torch.inf)
    near = far.topk(min(4, len(x) - 1), dim=1, largest=False).indices
    distances = torch.linalg.vector_norm(x[:, None] - x[near], dim=2).sort(1).values[:, :2]
    distances[distances[:, 0] <= 1e-12 * squares.max().sqrt()] = torch.nan
    found: Tensor = distances[:, 1] / distances[:, 0]
    return found


def intrinsic_dimension(
    ratios: Float[Array, "samples"], weights: Float[Array, "*resamples samples"] | None = None
) -> Float64[Tensor, "*resamples"]:
    """TwoNN: the intrinsic dimension (Facco et al. 2017, arXiv 1803.06992), from ratios of second to first neighbours.

    With F the share of ratios up to μ, −ln(1 − F) = d ln μ whatever the density: d is the slope of a line through the
    origin, without the tenth of the largest ratios.

    Args:
        ratios: `two_nn_ratios`; NaN is a sample that does not count.
        weights: how often each sample was drawn, if at all: neighbours are those among all samples, so that copies
            of one sample are not neighbours of each other.

    Returns:
        No unit, above 0. NaN where fewer than 3 ratios are known or all are 1.

    Raises:
        ValueError: the shapes do not match.

    >>> x = torch.rand(2000, 2) @ torch.randn(2, 20)
    >>> abs(float(intrinsic_dimension(two_nn_ratios(x))) - 2) < 0.2
    True
    """
    ratios = as_float64(ratios)
    counts = torch.ones_like(ratios) if weights is None else as_float64(weights).to(ratios.device)
    if ratios.ndim != 1 or counts.shape[-1:] != ratios.shape:
        raise ValueError(f"ratios must be [samples] and weights [..., samples]: {shape_of(ratios)}, {shape_of(counts)}")
    known = ratios.isfinite()
    if int(known.sum()) < 3:
        return counts.new_full(counts.shape[:-1], torch.nan)
    order = ratios[known].argsort()
    log_mu, counts = ratios[known][order].log(), counts[..., known][..., order]
    total = counts.sum(-1, keepdim=True)
    before = counts.cumsum(-1) - counts
    kept = ((total * (1 - _DISCARDED)).floor() - before).clamp(min=0).minimum(counts)
    # F: of each ratio the share of those up to it; copies of a sample stand at the middle of their places.
    share = torch.where(kept > 0, before + (kept + 1) / 2, 0) / total
    return (-torch.log1p(-share) * kept * log_mu).sum(-1) / (kept * log_mu.square()).sum(-1)


def mean_cosine(
    x: Float[Array, "samples d"], weights: Float[Array, "*resamples samples"] | None = None
) -> Float64[Tensor, "*resamples"]:
    """Anisotropy: the mean cosine between two different samples (Ethayarajh 2019, arXiv 1909.00512).

    0 for directions spread evenly, 1 for one direction. The mean over all pairs, not over pairs drawn.

    Args:
        x: activations, not centred.
        weights: how often each sample was drawn, if at all; copies of one sample are no pair.

    Returns:
        No unit; −1/(n − 1) … 1. NaN with fewer than 2 samples, or where one is zero or not finite.

    Raises:
        ValueError: x is not a matrix, or the shapes do not match.
    """
    x = _matrix(x)
    counts = x.new_ones(len(x)) if weights is None else _counts(weights, x)
    unit = unit_rows(x) if x.shape[1] else x.new_full((len(x), 1), torch.nan)
    own = counts.square().sum(-1)
    found: Tensor = ((counts @ unit).square().sum(-1) - own) / (counts.sum(-1).square() - own)
    return found


def gini(values: Float[Array, "... n"]) -> Float64[Tensor, "..."]:
    """The Gini index of the sizes of values: 0 where all are equal, 1 − 1/n where one holds everything.

    Sparsity that does not depend on scale (Hurley & Rickard 2009, arXiv 0811.4706).

    Returns:
        No unit. NaN where all are zero or one is not finite.
    """
    sizes = as_float64(values).abs().sort(-1).values
    n = sizes.shape[-1]
    places = 2 * torch.arange(1, n + 1, dtype=sizes.dtype, device=sizes.device) - n - 1
    return (sizes * places).sum(-1) / (n * sizes.sum(-1))


def hoyer(values: Float[Array, "... n"]) -> Float64[Tensor, "..."]:
    """Hoyer's sparsity, (√n − ‖v‖₁/‖v‖₂) / (√n − 1): 0 where all sizes are equal, 1 where one holds everything.

    Hoyer 2004 (JMLR 5, section 3.1). No unit. NaN of one value, where all are zero, or one is not finite.
    """
    sizes = as_float64(values).abs()
    sizes = sizes / sizes.amax(-1, keepdim=True)
    root = math.sqrt(sizes.shape[-1])
    found: Tensor = (root - sizes.sum(-1) / torch.linalg.vector_norm(sizes, dim=-1)) / (root - 1 or torch.nan)
    return found


def active_share(x: Float[Array, "samples neurons"]) -> Float64[Tensor, "samples"]:
    """Of each sample the share of neurons above 0. NaN where a value is. No unit; 0 … 1."""
    x = _matrix(x)
    return torch.where(x.isnan().any(1), torch.nan, (x > 0).double().mean(1))


def dead_share(x: Float[Array, "samples neurons"]) -> Float64[Tensor, ""]:
    """The share of neurons that are above 0 in no sample: dead, as far as these samples tell.

    A neuron that is active in a share r of all samples is missed by n of them with probability (1 − r)ⁿ: from 3/n on in
    fewer than one in twenty. NaN without samples, or where a value is. No unit; 0 … 1.
    """
    x = _matrix(x)
    if not x.numel() or bool(x.isnan().any()):
        return x.new_tensor(torch.nan)
    return (~(x > 0).any(0)).double().mean()


def _matrix(x: Float[Array, "samples d"]) -> Float64[Tensor, "samples d"]:
    values = as_float64(x)
    if values.ndim != 2:
        raise ValueError(f"activations must be [samples, features]; these are {shape_of(values)}")
    return values


def _counts(weights: Float[Array, "... samples"], x: Float64[Tensor, "samples d"]) -> Float64[Tensor, "... samples"]:
    counts = as_float64(weights).to(x.device)
    if counts.shape[-1:] != x.shape[:1]:
        raise ValueError(f"weights must be [..., {len(x)}], a count per sample: {shape_of(counts)}")
    return counts
