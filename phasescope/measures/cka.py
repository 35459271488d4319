"""Linear centred kernel alignment: how alike are two sets of activations of the same samples?

CKA(X, Y) = HSIC(K, L) / √(HSIC(K, K) HSIC(L, L)) with K = XXᵀ and L = YYᵀ, columns centred. It does not change when
X or Y is rotated, scaled as a whole or shifted, so it compares a layer with itself at another step, and layers of
different widths (Kornblith et al. 2019, arXiv 1905.00414).

*Biased*: HSIC is ⟨K, L⟩. With few samples for the number of features it is near 1 whatever the data.
*Debiased*: HSIC is the unbiased estimator of Song et al. (2012), equation 5. It is near 0 for unrelated data, whatever
the number of features, and may be negative.

Products are float64 throughout, but for the part of resamples that needs fewer digits (`_resampled_cka`). A few
massive activations, which language models have, make the entries of K differ by many orders of magnitude, and float32
would lose all the other samples, above all in resamples without the massive ones.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from phasescope.measures._draws import Draws
from phasescope.measures._first_order import first_order_factor, row_shares
from phasescope.measures._hsic import GramPair, alignment, ckas
from phasescope.measures._pairs import is_sound
from phasescope.measures._resampled_cka import ResampledCka
from phasescope.measures._side import Chance, Side, Told
from phasescope.measures._state import State, centred
from phasescope.measures._tensors import shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array


# Gram matrices of more samples than this (128 MiB each) are not made for resampling.
MOST_EXACT = 4096
# Up to so many samples resampling exactly takes no longer than to first order.
_FEW = 256


def linear_cka(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], debiased: bool = False
) -> Float64[Tensor, ""]:
    """Linear CKA of two sets of activations of the same samples (Kornblith et al. 2019).

    Args:
        x: activations, one row per sample.
        y: other activations of the same samples, in the same order.
        debiased: use the unbiased HSIC (Song et al. 2012, equation 5), which needs at least 4 samples.

    Returns:
        No unit; 0 … 1, debiased −1 … 1. NaN where it is not defined: x or y has no variance, a value is NaN or
        infinite, there are too few samples, or (debiased) all the variance comes from one sample.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.

    >>> x = torch.randn(100, 8)
    >>> round(float(linear_cka(x, 3 * x + 1)), 6)
    1.0
    """
    return FinalState(y).cka(x, debiased=debiased)


def centred_gram(x: Float[Array, "samples p"]) -> Float64[Tensor, "samples samples"]:
    """The Gram matrix of the samples, XXᵀ, of X with centred columns: its rows sum to 0. Unit: that of x, squared.

    Raises:
        ValueError: x is not a matrix.
    """
    rows = centred(x)
    return rows @ rows.mT


class FinalState:
    """The activations that a layer's checkpoints are compared with: those at the last step.

    What depends on them alone is computed once. A checkpoint then costs one samples × samples product, or two products
    of features × features where there are so many samples that this is cheaper. Where more than one thing is asked of
    the same activations, make a `State` of them first, and they too are centred and multiplied once.

    Args:
        final: [samples, q], the layer's activations at the last step, or a `State` of them.

    Raises:
        ValueError: `final` is not a matrix.
    """

    def __init__(self, final: Float[Array, "samples q"] | State) -> None:
        self._final = final if isinstance(final, State) else State(final)
        self._resampled: ResampledCka | None = None

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self._final.samples

    def cka(self, x: Float[Array, "samples p"] | State, debiased: bool = False) -> Float64[Tensor, ""]:
        """CKA of x with the final state: `linear_cka(x, final, debiased)`, with the same errors."""
        biased, unbiased = self.both(x)
        return unbiased if debiased else biased

    def both(self, x: Float[Array, "samples p"] | State) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
        """The biased and the debiased CKA of x with the final state, from the same product."""
        state, final = self._comparable(x), self._final
        return ckas(self.samples, GramPair.of(state, final), GramPair.of(state, state), GramPair.of(final, final))

    def shuffled(self, x: Float[Array, "samples p"] | State, groups: int | None = None) -> Float64[Tensor, ""]:
        """The biased CKA of x with the final state when their samples no longer match: its mean over all orders.

        What is left of CKA is not about what the samples say: with few samples for the number of features it is near 1
        whatever the data, and a pattern that is alike for all texts stays alike. (The debiased CKA of samples in
        another order is 0 on average.)

        No order is drawn. The mean of ⟨K, PLPᵀ⟩ over all permutations P of the groups is, with K and L in blocks of
        the groups, the product of their mean diagonal blocks and that of their mean other blocks, each times how many
        there are; the other parts of CKA do not depend on the order. Of single samples, tr K · tr L / (n − 1).

        Args:
            x: activations, one row per sample.
            groups: as many equal groups of rows that follow each other change places as a whole: the sequences, where
                several positions of each were sampled, so that every position still meets its like. None: single rows.

        Returns:
            No unit; 0 … 1. NaN where CKA is not defined, or there is one group.

        Raises:
            ValueError: the shapes do not match, or the rows do not make so many equal groups.
        """
        state, count = self._comparable(x), self.samples if groups is None else groups
        if count < 1 or self.samples % count:
            raise ValueError(f"{self.samples} samples do not make {count} equal groups")
        if count == 1:
            return torch.full_like(self._final.product, torch.nan)
        (own_diagonal, own_others), (diagonal, others) = _blocks(state.unit, count), _blocks(self._final.unit, count)
        cross = torch.sum(own_diagonal * diagonal) / count + torch.sum(own_others * others) / (count * (count - 1))
        own, other = state.product, self._final.product
        return alignment(cross, own, other, own, other).clamp(max=1)

    def resampled(
        self, x: Float[Array, "samples p"] | State, weights: Num[Array, "resamples samples"] | Draws
    ) -> tuple[Float64[Tensor, "resamples"], Float64[Tensor, "resamples"]]:
        """The biased and the debiased CKA of x with the final state in bootstrap resamples of the samples.

        A resample is given by how often it drew each sample (`bootstrap_weights`); where whole sequences are drawn,
        samples of one sequence share its count. No resample's Gram matrix is formed: each HSIC is a polynomial in the
        counts w and takes only products of K, L and K∘L with the resamples (derived in `_resampled_hsic`; of more than
        256 samples, what pairs of samples add is float32, or told by its variance alone: `_resampled_cka`).
        Biased: the CKA of the resampled rows. Debiased: the U-statistic over draws of *different* samples, since
        copies of one sample are not two observations.

        Of more than 4096 samples the Gram matrices would be too large: CKA is then resampled to first order in the
        counts (`_first_order`), which is precise where samples are so many.

        Resampling with replacement shifts CKA, so take `cka_interval` of these, not plain percentiles.

        Args:
            x: activations, one row per sample.
            weights: counts, none negative; as `Draws` where many layers and steps are resampled alike.

        Returns:
            (biased, debiased), one value per resample; NaN where it is not defined there, as for `linear_cka`.

        Raises:
            ValueError: the shapes do not match, or a count is negative.
        """
        state = self._comparable(x)
        draws = weights if isinstance(weights, Draws) else Draws(weights, self._final.unit.device)
        if draws.counts.shape[1] != self.samples:
            raise ValueError(
                f"weights must be [resamples, {self.samples}], a count per sample: {shape_of(draws.counts)}"
            )
        if self.samples > MOST_EXACT:
            factor = first_order_factor(state.unit, self._final.unit, draws.counts)
            biased, debiased = self.both(state)
            return (biased * factor).clamp(max=1), debiased * factor
        if self._resampled is None or self._resampled.draws is not draws:
            self._resampled = ResampledCka(self._final, draws)
        return self._resampled.cka(state)

    def _comparable(self, x: Float[Array, "samples p"] | State) -> State:
        state = x if isinstance(x, State) else State(x, self._final.unit.device)
        if state.samples != self.samples:
            shapes = f"x is {shape_of(state.unit)}, the final state {shape_of(self._final.unit)}"
            raise ValueError(f"CKA compares activations of the same samples: {shapes}")
        return state


class CkaSide(Side):
    """Activations as the biased `linear_cka` sees them."""

    def __init__(self, x: Float[Array, "samples p"]) -> None:
        self._state = State(x)
        self.samples = self._state.samples
        self.sound = is_sound(self._state.unit)
        self._compared = FinalState(self._state)

    def _value(self, other: CkaSide) -> Float64[Tensor, ""]:
        return other._compared.cka(self._state)

    def _told(self, other: CkaSide, chance: Chance) -> Told:
        """Replicates of many samples to first order in how often each is drawn: what each adds by itself.

        That is nearly all of how CKA varies (`_resampled_cka`, which tells the rest at ten times the cost).
        """
        value, compared = self._value(other), other._compared
        shuffled = compared.shuffled(self._state, chance.groups)
        if self.samples <= _FEW:
            return Told(value, compared.resampled(self._state, chance.draws)[0], shuffled)
        influence = 2 * row_shares(self._state, other._state) - self._shares - other._shares
        return Told(value, value * ((chance.draws.counts - 1) @ influence).exp(), shuffled)

    @cached_property
    def _shares(self) -> Float64[Tensor, "samples"]:
        return row_shares(self._state, self._state)


def _blocks(
    x: Float64[Tensor, "samples p"], groups: int
) -> tuple[Float64[Tensor, "group group"], Float64[Tensor, "group group"]]:
    """The sums of the diagonal blocks of XXᵀ, and of all its other blocks."""
    parts = x.reshape(groups, -1, x.shape[1])
    flat = parts.transpose(0, 1).reshape(parts.shape[1], -1)
    diagonal, total = flat @ flat.mT, parts.sum(0)
    return diagonal, total @ total.mT - diagonal
