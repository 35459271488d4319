"""CKA with one final state in all resamples: exactly, or to first order in the counts where that is seen to be enough.

Exactly, each resample costs products of n × n matrices with its counts. To first order, ln CKA moves by Σ (w_i − 1) ψ_i
with ψ its derivative by the counts where every sample is drawn once (the infinitesimal jackknife: Efron & Tibshirani
1993, chapter 22), which is found once and then costs n for each resample. How good that is depends on the data: with
many samples it is nearly exact; where CKA is near 0, there is no first order. So the first resamples are taken both
ways, and all exactly where the two differ.

The derivatives are those of the polynomials in `_resampled_hsic`. Rows of the centred K and L sum to 0, so that K w = 0
at w = 1 and, with their diagonals d and e taken out, K w = −d and L w = −e. With q the row sums of K∘L, its diagonal
taken out or not, ∂HSIC/∂w_i is

    biased      2 q_i,  with the diagonal in q
    debiased    2 [(n − 2) s + (n − 2)² q_i + d_i Σe + e_i Σd − d·e − n d_i e_i + (n − 2) (Ke + Ld)_i],  s = Σ q

of the sum over draws of four different samples. (How many such draws there are changes too, but not CKA with it.)
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from phasescope.measures._hsic import alignment
from phasescope.measures._resampled_hsic import FixedGram

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

    _Slope = tuple[Float64[Tensor, ""], Float64[Tensor, "samples"]]
    Pair = tuple[Float64[Tensor, "resamples"], Float64[Tensor, "resamples"]]

# Up to so many samples exactly: the first order is then neither good enough nor faster.
_FEW = 256
# Resamples that are taken both ways, and the share of their variance that the first order may leave unexplained: their
# standard deviations then differ by a sixth at most, and by less where the first order is the more variable.
_BOTH, _UNEXPLAINED = 24, 0.03
# A standard deviation of CKA below this is rounding.
_ROUNDING = 1e-10


class ResampledCka:
    """The final state's Gram matrix L and the counts of all resamples, with what depends on these alone."""

    def __init__(self, gram: Float64[Tensor, "samples samples"], counts: Float64[Tensor, "resamples samples"]) -> None:
        self.counts, self._gram = counts, gram

    def cka(self, gram: Float64[Tensor, "samples samples"]) -> Pair:
        """Biased and debiased CKA with the Gram matrix K, in each resample."""
        if len(gram) <= _FEW or len(self.counts) <= _BOTH:
            return _ckas(self._all, gram)
        exact, nearly = _ckas(self._some, gram), self._to_first_order(gram)
        if all(_explains(first, true) for first, true in zip(nearly, exact, strict=True)):
            return nearly
        return _ckas(self._all, gram)

    def _to_first_order(self, gram: Float64[Tensor, "samples samples"]) -> Pair:
        cross, own = _slopes(gram, self._gram), _slopes(gram, gram)
        found = []
        for (hsic, slope), (of_own, own_slope), (of_other, other_slope) in zip(cross, own, self._other, strict=True):
            influence = slope / hsic - (own_slope / of_own + other_slope / of_other) / 2
            cka = alignment(hsic, of_own, of_other, of_own, of_other)
            found.append(cka * (self.counts @ influence - influence.sum()).exp())
        return found[0].clamp(max=1), found[1]

    @cached_property
    def _other(self) -> list[_Slope]:
        return _slopes(self._gram, self._gram)

    @cached_property
    def _all(self) -> FixedGram:
        return FixedGram(self._gram, self.counts)

    @cached_property
    def _some(self) -> FixedGram:
        return FixedGram(self._gram, self.counts[:_BOTH])


def _slopes(k: Float64[Tensor, "samples samples"], other: Float64[Tensor, "samples samples"]) -> list[_Slope]:
    """HSIC of two centred Gram matrices and its derivatives by the counts: biased, and debiased up to the draws."""
    n, d, e = len(k), k.diagonal(), other.diagonal()
    whole, both = torch.linalg.vecdot(k, other), d * e
    hollow = whole - both
    total, diagonals = hollow.sum(), both.sum()
    crossed = k @ e + other @ d - 2 * both
    debiased = (n - 1) * (n - 2) * total + d.sum() * e.sum() - 2 * (n - 1) * diagonals
    slope = (n - 2) * (total + (n - 2) * hollow + crossed) + e.sum() * d + d.sum() * e - diagonals - n * both
    return [(whole.sum(), 2 * whole), (debiased, 2 * slope)]


def _ckas(fixed: FixedGram, gram: Float64[Tensor, "samples samples"]) -> Pair:
    biased, debiased, size = fixed.hsic(gram)
    return alignment(*biased, *size[1:]).clamp(max=1), alignment(*debiased, *size[1:])


def _explains(nearly: Float64[Tensor, "resamples"], exact: Float64[Tensor, "some"]) -> bool:
    """Whether the first order gives what is exact, but for a shift, which intervals take out."""
    spread, left = exact.var(), (nearly[: len(exact)] - exact).var()
    return bool(left <= _UNEXPLAINED * spread) or bool(torch.maximum(spread, left) < _ROUNDING**2)
