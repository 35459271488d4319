"""HSIC in resamples, split into what samples add each by itself and what pairs of samples add.

The notation and the polynomials are those of `_resampled_hsic`; δ = w − 1, d and e are the diagonals of the centred K
and L, and u = Kδ = Kw and v = Lδ = Lw, since the rows of K and L sum to 0. Sums over samples are either numbers of each
sample times a power of w, which is quick, or one of the `Pairs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from phasescope.measures._hsic import GramPair
from phasescope.measures._state import State, row_products

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float32, Float64
    from torch import Tensor

    from phasescope.measures._draws import Draws


class Hsic(NamedTuple):
    """HSIC of two states in each resample, and the mean of K∘L before the means are taken out."""

    biased: Float64[Tensor, "resamples"]
    debiased: Float64[Tensor, "resamples"]
    size: Float64[Tensor, "resamples"]


class Pairs(NamedTuple):
    """Sums over samples that hold products of K or L with δ."""

    quadratic: Float64[Tensor, "resamples"]  # δ·Qδ, with Q = K∘L without its diagonal
    edge: Float64[Tensor, "resamples"]  # w²·Qδ
    inner: Float64[Tensor, "2 resamples"]  # w·uv, w²·uv
    crossed: Float64[Tensor, "3 resamples"]  # w·(dv + eu), w²·(dv + eu), w³·(dv + eu)
    within: Float64[Tensor, "2 resamples"]  # δ·u, δ·v


class Moved(NamedTuple):
    """A state in all resamples: u = Kδ."""

    state: State
    u: Float32[Tensor, "resamples samples"]

    @classmethod
    def of(cls, state: State, draws: Draws) -> Moved:
        moved = draws.powers[0]
        few_features = state.unit.shape[1] < state.samples // 2
        return cls(state, (moved @ state.single) @ state.single.mT if few_features else moved @ state.single_gram)


def multiplied(first: Moved, second: Moved, draws: Draws) -> Pairs:
    """The sums, from products of n × n matrices with all resamples."""
    d, e = first.state.diagonal.float(), second.state.diagonal.float()
    product = first.state.single_gram * second.state.single_gram
    product.fill_diagonal_(0)
    moved = draws.powers[0] @ product
    crossed = torch.addcmul(second.u * d, first.u, e)
    dots = torch.bmm(draws.rows, torch.stack([moved, first.u * second.u, crossed], 2)).permute(1, 2, 0).double()
    within = torch.linalg.vecdot(draws.powers[0], torch.stack([first.u, second.u])).double()
    return Pairs(dots[0, 0], dots[2, 0], dots[1:3, 1], dots[1:4, 2], within)


class SplitHsic:
    """HSIC of K and L, with all that samples add each by itself: sums over samples with powers of w.

    Args:
        full: the row sums of K∘L.
        crossing: Ke + Ld.
        diagonals: d and e.
        sums: with w, w², w³ and w⁴, of these: full, crossing, d∘e, d, e.
    """

    def __init__(self, full: Tensor, crossing: Tensor, diagonals: Sequence[Tensor], sums: Tensor, draws: Draws) -> None:
        self._full, self._crossing, self._sums, self._draws = full, crossing, sums, draws
        self._both = diagonals[0] * diagonals[1]
        self._q = full - self._both
        self._once, self._twice = draws.counts @ self._q, sums[0, 1] - sums[2, 1]  # w·q, w²·q

    @classmethod
    def of_itself(cls, state: State, draws: Draws) -> SplitHsic:
        """HSIC(K, K)."""
        d = state.diagonal
        full, crossing = row_products(state, state), 2 * state.times(d)
        sums = draws.along(full, crossing, d * d, d)[[0, 1, 2, 3, 3]]
        return cls(full, crossing, (d, d), sums, draws)

    @classmethod
    def with_another(cls, state: State, final: State, of_final: SplitHsic, draws: Draws) -> tuple[SplitHsic, SplitHsic]:
        """HSIC(K, L) and HSIC(K, K), where HSIC(L, L) is there."""
        d, e = state.diagonal, final.diagonal
        full, crossing = row_products(state, final), state.times(e) + final.times(d)
        own_full, own_crossing = row_products(state, state), 2 * state.times(d)
        sums = draws.along(full, crossing, d * e, d, own_full, own_crossing, d * d)
        cross = cls(full, crossing, (d, e), torch.cat([sums[:4], of_final._sums[4:]]), draws)
        return cross, cls(own_full, own_crossing, (d, d), sums[[4, 5, 6, 3, 3]], draws)

    @property
    def whole(self) -> GramPair:
        """Of all samples, each once. The traces of K and L are 1."""
        return GramPair(self._full.sum(), self._both.sum(), torch.ones_like(self._full[0]))

    def by_itself(self) -> Pairs:
        """The sums with δ_i δ_j of two different samples left out, as 0 is what they are on average."""
        draws = self._draws
        full, crossing, both, d, e = self._sums
        means = draws.sums[:3] / draws.counts.shape[1]
        squares = full[1] - 2 * full[0] + self._full.sum()  # δ²·(K∘L)1
        along = crossing[0] - self._crossing.sum()  # δ·(Ke + Ld)
        own = 2 * (both[1:] - both[:-1] - means * (both[0] - self._both.sum()))
        traces = torch.stack([part[1] - 2 * part[0] + 1 for part in (d, e)])
        edge = means[1] * (self._once - self._q.sum())
        return Pairs(torch.zeros_like(edge), edge, squares * means[:2], means * along + own, traces)

    def hsic(self, pairs: Pairs) -> Hsic:
        """The polynomials."""
        draws = self._draws
        (p1, p2, *_), (alpha, beta) = draws.sums, draws.squares
        _, _, (_, diagonal2, diagonal3, diagonal4), (_, d2, *_), (_, e2, *_) = self._sums
        (by_w, by_w2), (edge1, edge2, edge3), (du, dv) = pairs.inner, pairs.crossed, pairs.within
        total = self._q.sum()

        two = 2 * self._once - total + pairs.quadratic  # w·Qw
        edges = self._twice + pairs.edge  # w²·Qw
        squares = 2 * (alpha * self._twice + beta * edges)
        squares -= alpha**2 * total + 2 * alpha * beta * self._once + beta**2 * two  # w²·Qw², all but ζ·Qζ
        size = (two + diagonal2) / p1**2
        biased = size - 2 * by_w / p1**3 + du * dv / p1**4

        hollow = by_w - edge2 + diagonal3  # w·(uv), of K and L without their diagonals
        triples = (p1 - 2 * beta) * hollow + by_w2 - edge3 + diagonal4 + alpha * (edge1 - 2 * diagonal2)
        debiased = (p1**2 - p2) * two - 2 * p1 * edges + 2 * squares - 2 * triples + (du - d2) * (dv - e2)
        return Hsic(biased, debiased / draws.fours, size)
