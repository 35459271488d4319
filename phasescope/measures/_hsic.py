"""The Hilbert–Schmidt independence criterion (HSIC) of two Gram matrices, and CKA from three of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._state import product

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

    from phasescope.measures._state import State

# An HSIC(K, K) this far below the mean square of K is rounding: in truth it is 0, and cannot be divided by.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class GramPair:
    """What HSIC needs to know of two centred Gram matrices K and L of the same samples."""

    product: Float64[Tensor, ""]  # ⟨K, L⟩
    diagonals: Float64[Tensor, ""]  # Σᵢ Kᵢᵢ Lᵢᵢ
    traces: Float64[Tensor, ""]  # tr K · tr L

    @classmethod
    def of(cls, first: State, second: State) -> GramPair:
        """Of two states."""
        a, b = first.diagonal, second.diagonal
        return cls(first.product if first is second else product(first, second), a.dot(b), a.sum() * b.sum())

    def debiased(self, samples: int) -> Float64[Tensor, ""]:
        """n(n − 3) times the unbiased HSIC (Song et al. 2012, equation 5).

        That equation is about K and L with their diagonals set to 0. As the rows of the centred K and L sum to 0, the
        rows of those sum to minus the diagonals, and all its terms follow from the three numbers.
        """
        n = samples
        return self.product - n / (n - 2) * self.diagonals + self.traces / ((n - 1) * (n - 2))


def ckas(
    samples: int, cross: GramPair, own: GramPair, other: GramPair
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
    """The biased and the debiased CKA from what is known of (K, L), (K, K) and (L, L)."""
    sizes = own.product, other.product
    biased = alignment(cross.product, own.product, other.product, *sizes)
    if samples < 4:
        return biased.clamp(max=1), torch.full_like(biased, torch.nan)
    debiased = alignment(cross.debiased(samples), own.debiased(samples), other.debiased(samples), *sizes)
    return biased.clamp(max=1), debiased.clamp(-1, 1)


def alignment(
    cross: Float64[Tensor, "..."],
    own: Float64[Tensor, "..."],
    other: Float64[Tensor, "..."],
    own_size: Float64[Tensor, "..."],
    other_size: Float64[Tensor, "..."],
) -> Float64[Tensor, "..."]:
    """cross / √(own · other); NaN where `own` or `other` is but the rounding of numbers of its size."""
    defined = (own > _ROUNDING * own_size) & (other > _ROUNDING * other_size)
    return torch.where(defined, cross / (own.sqrt() * other.sqrt()), torch.nan)
