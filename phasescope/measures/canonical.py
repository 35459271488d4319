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

from phasescope.measures._pairs import centred_unit, is_sound, same_samples
from phasescope.measures._side import Chance, Side, Told

if TYPE_CHECKING:
    from collections.abc import Callable

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
    x, y = same_samples(x, y)
    first, second = CanonicalSide(x), CanonicalSide(y)
    if not first.sound or not second.sound:
        return x.new_zeros(0)
    return _between(first.basis, second.basis)


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
    return _compared(x, y, CanonicalSide)


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
    return _compared(x, y, lambda side: CanonicalSide(side, variance))


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
    return _compared(x, y, ProjectedSide)


def enough_for_cca(samples: int, rank: int) -> bool:
    """Whether so many samples say anything of canonical correlations of so many dimensions."""
    return samples >= _SAMPLES_PER_DIMENSION * rank


class CanonicalSide(Side):
    """Activations as `mean_cca` sees them: orthonormal columns that span them, or most of them, as `svcca` does.

    Args:
        x: activations, one row per sample.
        variance: as few components are kept as explain this share of it.

    Raises:
        ValueError: x is not a matrix, or `variance` is not above 0 and at most 1.
    """

    def __init__(self, x: Float[Array, "samples p"], variance: float = 1.0) -> None:
        if not 0 < variance <= 1:
            raise ValueError(f"variance is a share, above 0 and at most 1; it is {variance}")
        unit = centred_unit(x)
        self.samples, self.sound = len(unit), is_sound(unit)
        self.basis: Float64[Tensor, "samples rank"]
        self.spread: Float64[Tensor, "rank p"]
        self.basis, self.spread = _basis(unit, variance) if self.sound else (unit, unit[:0])

    def why_not(self, other: CanonicalSide) -> str:
        """That there are too few samples."""
        rank = self._rank(other)
        if not self.sound or not other.sound or enough_for_cca(self.samples, rank):
            return ""
        fewest = _SAMPLES_PER_DIMENSION * rank
        return f"CCA of {rank} dimensions means nothing with fewer than {fewest} samples: these are {self.samples}"

    def _value(self, other: CanonicalSide) -> Float64[Tensor, ""]:
        if not enough_for_cca(self.samples, self._rank(other)):
            return self.basis.new_tensor(torch.nan)
        return _between(self.basis, other.basis).mean()

    def _told(self, other: CanonicalSide, chance: Chance) -> Told:
        """Replicates to first order in how often each sample is drawn: directions and weights stay those of all.

        What a sample adds to a canonical correlation ρ is ab − ρ (a² + b²) / 2, with a and b its two canonical variates
        (Romanazzi 1992, the influence function).
        """
        if not enough_for_cca(self.samples, self._rank(other)):
            nothing = torch.full_like(chance.draws.counts[:, 0], torch.nan)
            return Told(nothing.new_tensor(torch.nan), nothing, nothing.new_tensor(torch.nan))
        turn, found, back = torch.linalg.svd(self.basis.mT @ other.basis, full_matrices=False)
        found = found.clamp(0, 1)
        weights = self._weights(turn)
        a, b = self.basis @ turn, other.basis @ back.mT
        added = (a * b - found / 2 * (a.square() + b.square())) @ weights
        value = weights @ found
        return Told(value, value + (chance.draws.counts - 1) @ added, self._of(other.basis[chance.order]))

    def _of(self, basis: Float64[Tensor, "samples rank"]) -> Float64[Tensor, ""]:
        """The measure with the side that this is the basis of."""
        return _between(self.basis, basis).mean()

    def _weights(self, turn: Float64[Tensor, "rank smaller"]) -> Float64[Tensor, "smaller"]:
        """Of each canonical correlation; they sum to 1."""
        return turn.new_full((turn.shape[1],), 1 / turn.shape[1])

    def _rank(self, other: CanonicalSide) -> int:
        return max(self.basis.shape[1], other.basis.shape[1])


class ProjectedSide(CanonicalSide):
    """Activations as `pwcca` sees them."""

    def _value(self, other: CanonicalSide) -> Float64[Tensor, ""]:
        if not enough_for_cca(self.samples, self._rank(other)):
            return self.basis.new_tensor(torch.nan)
        return self._of(other.basis)

    def _of(self, basis: Float64[Tensor, "samples rank"]) -> Float64[Tensor, ""]:
        turn, found, _ = torch.linalg.svd(self.basis.mT @ basis, full_matrices=False)
        mean: Tensor = self._weights(turn) @ found.clamp(0, 1)
        return mean

    def _weights(self, turn: Float64[Tensor, "rank smaller"]) -> Float64[Tensor, "smaller"]:
        # ⟨h, x_j⟩ of all directions h and columns j: h = U turn, X = U spread.
        weights: Tensor = (turn.mT @ self.spread).abs().sum(1)
        return weights / weights.sum()


def _compared(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], side: Callable[[Tensor], CanonicalSide]
) -> Float64[Tensor, ""]:
    x, y = same_samples(x, y)
    return side(x).to(side(y))


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
