"""Canonical correlations: how well do the best-matching directions of two sets of activations agree?

Between the column spaces of X and Y, both centred, they are the cosines of the principal angles: 1 for a direction that
both hold, 0 for one that the other knows nothing of. They do not change under any invertible linear map of X or Y,
which is their weakness too: a direction with next to no variance counts as much as the largest. SVCCA leaves the small
ones out, PWCCA weighs all by what they explain.

With fewer than twice as many samples as dimensions they mean nothing: of unrelated data whose ranks add up to more than
the samples some are exactly 1. The means are NaN then, not a number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import centred_pair, has_answer

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array

# So many samples for each dimension, or no number.
_SAMPLES_PER_DIMENSION = 2


def canonical_correlations(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"]
) -> Float64[Tensor, "smaller_rank"]:
    """The canonical correlations of two sets of activations of the same samples, descending (Hotelling 1936).

    As many as the smaller rank of the two, columns centred; none where one has no variance or is
    not finite. No unit; 0 … 1. Given for
    any number of samples: `mean_cca` and its kin say when they mean nothing.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.

    >>> x = torch.randn(100, 4)
    >>> canonical_correlations(x, x @ torch.randn(4, 3)).shape
    torch.Size([3])
    """
    x, y = centred_pair(x, y)
    if not has_answer(x, y):
        return x.new_zeros(0)
    return _between(_basis(x)[0], _basis(y)[0])


def mean_cca(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> Float64[Tensor, ""]:
    """The mean of the canonical correlations (Raghu et al. 2017; Morcos et al. 2018, arXiv 1806.05759).

    Returns:
        No unit; 0 … 1. NaN where it is not defined: x or y has no variance, a value is NaN or infinite; or means
        nothing: there are fewer samples than twice the larger rank.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.

    >>> x = torch.randn(100, 8)
    >>> round(float(mean_cca(x, x @ torch.randn(8, 8))), 6)
    1.0
    """
    return _weighted(*centred_pair(x, y), by_variance=False)


def svcca(x: Float[Array, "samples p"], y: Float[Array, "samples q"], variance: float = 0.99) -> Float64[Tensor, ""]:
    """The mean canonical correlation of the largest principal components (Raghu et al. 2017, arXiv 1706.05806).

    Args:
        x, y: activations of the same samples, one row each.
        variance: of each side as few components are kept as explain this share of it.

    Returns:
        No unit; 0 … 1. NaN as for `mean_cca`, where the dimensions that count are those kept.

    Raises:
        ValueError: the shapes do not fit, or `variance` is not above 0 and at most 1.
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance is a share, above 0 and at most 1; it is {variance}")
    return _weighted(*centred_pair(x, y), by_variance=False, variance=variance)


def pwcca(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> Float64[Tensor, ""]:
    """Projection-weighted CCA (Morcos et al. 2018, arXiv 1806.05759, equations 3 and 4).

    The mean of the canonical correlations, each weighed by how much of x its direction accounts for: Σ |⟨h, x_j⟩| over
    the columns x_j, with h the canonical variate of x. Not symmetric: the weights are those of x; and
    as they are taken feature by feature, it is not quite the same when x is rotated.

    Returns:
        No unit; 0 … 1. NaN as for `mean_cca`.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.
    """
    return _weighted(*centred_pair(x, y), by_variance=True)


def enough_for_cca(samples: int, rank: int) -> bool:
    """Whether so many samples say anything of canonical correlations of so many dimensions."""
    return samples >= _SAMPLES_PER_DIMENSION * rank


def _weighted(
    x: Float64[Tensor, "samples p"], y: Float64[Tensor, "samples q"], *, by_variance: bool, variance: float = 1.0
) -> Float64[Tensor, ""]:
    if not has_answer(x, y):
        return x.new_tensor(torch.nan)
    (of_x, spread), (of_y, _) = _basis(x, variance), _basis(y, variance)
    rank = max(of_x.shape[1], of_y.shape[1])
    if not enough_for_cca(len(x), rank):
        return x.new_tensor(torch.nan)
    if not by_variance:
        return _between(of_x, of_y).mean()
    turn, correlations, _ = torch.linalg.svd(of_x.mT @ of_y, full_matrices=False)
    # ⟨h, x_j⟩ of all directions h and columns j: h = U turn, X = U spread.
    weights = (turn.mT @ spread).abs().sum(1)
    found: Tensor = (weights / weights.sum()) @ correlations.clamp(0, 1)
    return found


def _basis(
    x: Float64[Tensor, "samples p"], variance: float = 1.0
) -> tuple[Float64[Tensor, "samples rank"], Float64[Tensor, "rank p"]]:
    """Orthonormal columns U that span x (or as many as explain a share of its variance), and UᵀX."""
    U, values, V = torch.linalg.svd(x, full_matrices=False)
    rounding = values[:1] * max(x.shape) * torch.finfo(x.dtype).eps
    rank = int((values > rounding).sum())
    if variance < 1:
        explained = values.square().cumsum(0) / values.square().sum()
        rank = min(rank, int((explained < variance - 1e-12).sum()) + 1)
    return U[:, :rank], values[:rank, None] * V[:rank]


def _between(a: Float64[Tensor, "samples p"], b: Float64[Tensor, "samples q"]) -> Float64[Tensor, "smaller"]:
    """Cosines of the principal angles between the columns of two orthonormal bases."""
    found: Tensor = torch.linalg.svdvals(a.mT @ b).clamp(0, 1)
    return found
