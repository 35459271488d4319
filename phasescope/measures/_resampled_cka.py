"""CKA with one final state in all resamples, at a small part of the cost of `_resampled_hsic`.

Its polynomials in the counts w = 1 + δ fall into what samples add each by itself (`_split_hsic`), nearly all of how CKA
varies, at a cost of n numbers a resample, and products δ_i δ_j of two different samples, which take products of n × n
matrices with all resamples. These are not correlated with the former, and their variance is known without them: of
Σ A_ij δ_i δ_j it is 2 Σ A_ij², and A is here half of the second derivatives of ln CKA. So

- where that is a small share of the variance that samples have by themselves, it is these that are resampled,
  and spread a little wider to make up for the pairs;
- else the products are made, in float32, which gives them to 1e-7 of themselves. Left out are those with w² in the
  debiased HSIC: w² is α + βw + ζ, with what is left (ζ) neither correlated with w nor with 1 in that resample,
  and where a matrix meets ζ *and* another δ or ζ, that is of the order of n^−1.5 of the others. (Numbers of draws are
  nearly Poisson: w² ≈ 3w − 1.)
- Of few samples nothing is left out, in float32 too; and where parts nearly cancel (where one sample outweighs all
  others, and HSIC is almost nothing in resamples without it) in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import torch

from phasescope.measures._hsic import alignment
from phasescope.measures._resampled_hsic import FixedGram, runs_of
from phasescope.measures._split_hsic import Hsic, Moved, SplitHsic, multiplied
from phasescope.measures._state import State

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

    from phasescope.measures._draws import Draws

    Pair = tuple[Float64[Tensor, "resamples"], Float64[Tensor, "resamples"]]

# Up to so many samples with nothing left out: that is then as fast.
_FEW = 256
# The share of the variance that pairs of samples may have and still not be multiplied; and the samples, drawn once,
# whose pairs with all others tell it.
_SHARE, _ROWS = 0.1, 32
# A variance of ln CKA below this is rounding.
_ROUNDING = 1e-20
# Where HSIC(K, K) falls below this share of its terms in some resample, they cancel: float32 would not do.
_CANCELLED = 0.02


class ResampledCka:
    """The final state in all resamples."""

    def __init__(self, final: State, draws: Draws) -> None:
        self._final, self.draws = final, draws

    def cka(self, state: State) -> Pair:
        """Biased and debiased CKA with another state, in each resample."""
        if not bool(state.product.isfinite()) or not bool(self._final.product.isfinite()):
            nothing = torch.full_like(self.draws.counts[:, 0], torch.nan)
            return nothing, nothing
        if state.samples <= _FEW:
            return self._singly(state) or self._exactly.cka(state.gram)
        cross, own = SplitHsic.with_another(state, self._final, self._split, self.draws)
        nearly = self._by_themselves(state, cross, own) if self.draws.alone else None
        return nearly or self._multiplied(state, cross, own) or self._exactly.cka(state.gram)

    def _singly(self, state: State) -> Pair | None:
        """With nothing left out, in float32; None where that does not do."""
        found = self._single.hsic(state.gram.float())
        return self._sound(*(Hsic(*parts) for parts in zip(*(part.double() for part in found), strict=True)))

    def _by_themselves(self, state: State, cross: SplitHsic, own: SplitHsic) -> Pair | None:
        """From what samples add each by itself; None where pairs add more than a small share."""
        found = self._sound(*(split.hsic(split.by_itself()) for split in (cross, own, self._split)))
        if found is None:
            return None
        wider = [
            _wider(cka, added * self.draws.variance**2)
            for cka, added in zip(found, self._pairs.variances(state, cross, own, self._split), strict=True)
        ]
        return None if wider[0] is None or wider[1] is None else (wider[0].clamp(max=1), wider[1])

    def _multiplied(self, state: State, cross: SplitHsic, own: SplitHsic) -> Pair | None:
        """From products of pairs of samples; None where float32 does not do."""
        moved, final = Moved.of(state, self.draws), self._moved
        return self._sound(
            cross.hsic(multiplied(moved, final, self.draws)),
            own.hsic(multiplied(moved, moved, self.draws)),
            self._other,
        )

    def _sound(self, cross: Hsic, own: Hsic, other: Hsic) -> Pair | None:
        """CKA, unless HSIC(K, K) or HSIC(L, L) is in some resample what is left of terms that cancel."""
        for hsic in (own, other):
            enough = (hsic.biased > _CANCELLED * hsic.biased.mean()) & (hsic.debiased > _CANCELLED * hsic.size)
            if not bool(enough.all()):
                return None
        return _ckas(cross, own, other)

    @cached_property
    def _split(self) -> SplitHsic:
        return SplitHsic.of_itself(self._final, self.draws)

    @cached_property
    def _pairs(self) -> _PairsOfSamples:
        return _PairsOfSamples(self._final)

    @cached_property
    def _moved(self) -> Moved:
        return Moved.of(self._final, self.draws)

    @cached_property
    def _other(self) -> Hsic:
        return self._split.hsic(multiplied(self._moved, self._moved, self.draws))

    @cached_property
    def _single(self) -> FixedGram:
        return FixedGram(self._final.gram.float(), self.draws.single)

    @cached_property
    def _exactly(self) -> ExactlyResampled:
        return ExactlyResampled(self._final.gram, self.draws.counts)


class ExactlyResampled:
    """The same without float32, and without leaving anything out."""

    def __init__(self, final: Float64[Tensor, "samples samples"], counts: Float64[Tensor, "resamples samples"]) -> None:
        self._fixed = FixedGram(final, runs_of(counts))

    def cka(self, gram: Float64[Tensor, "samples samples"]) -> Pair:
        """Biased and debiased CKA with the centred Gram matrix K, in each resample."""
        return _ckas(*(Hsic(*parts) for parts in zip(*self._fixed.hsic(gram), strict=True)))


class _PairsOfSamples:
    """How much pairs of samples add to the variance of ln CKA, from the pairs that a few samples make with all."""

    def __init__(self, final: State) -> None:
        n = final.samples
        self._rows = torch.randperm(n, generator=torch.Generator().manual_seed(0))[:_ROWS].to(final.unit.device)
        self._final, self._gram = final, final.gram_rows(self._rows)
        self._other = self._derivatives(final, final, self._gram, self._gram)

    def variances(self, state: State, *splits: SplitHsic) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
        """Of both CKAs, where counts have a variance of 1; splits: of (K, L), (K, K) and (L, L)."""
        gram, n = state.gram_rows(self._rows), state.samples
        parts = [
            self._derivatives(state, self._final, gram, self._gram),
            self._derivatives(state, state, gram, gram),
            self._other,
        ]
        biased = self._variance(parts, [split.whole.product for split in splits])
        return biased, self._variance(parts, [split.whole.debiased(n) for split in splits])

    def _variance(self, parts: Sequence[Tensor], sizes: Sequence[Float64[Tensor, ""]]) -> Float64[Tensor, ""]:
        (cross, own, other), (of_cross, of_own, of_other) = parts, sizes
        half = cross / of_cross - (own / of_own + other / of_other) / 2
        return 2 * half.square().sum() * (self._final.samples / len(self._rows))

    def _derivatives(self, first: State, second: State, k: Tensor, other: Tensor) -> Float64[Tensor, "rows samples"]:
        """Half of those of HSIC by pairs of counts: K∘L − (KL + LK)/n, without its diagonal."""
        n = first.samples
        products = second.times_rows(k)
        found = k * other - (products + (products if first is second else first.times_rows(other))) / n
        found[torch.arange(len(k)), self._rows] = 0
        return found


def _ckas(cross: Hsic, own: Hsic, other: Hsic) -> Pair:
    sizes = own.size, other.size
    biased = alignment(cross.biased, own.biased, other.biased, *sizes)
    return biased.clamp(max=1), alignment(cross.debiased, own.debiased, other.debiased, *sizes)


def _wider(cka: Float64[Tensor, "resamples"], added: Float64[Tensor, ""]) -> Float64[Tensor, "resamples"] | None:
    """CKA with so much added to the variance of its logarithm; None where that is more than a small share of it."""
    logarithm = cka.log()
    middle, spread = logarithm.median(), logarithm.var() + _ROUNDING
    if not bool(added <= _SHARE * spread):  # also where CKA is negative, and has no logarithm
        return None
    return (middle + (logarithm - middle) * (1 + added / spread).sqrt()).exp()
