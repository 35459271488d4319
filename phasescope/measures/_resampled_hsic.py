"""HSIC in bootstrap resamples, as a polynomial in how often each sample was drawn.

Notation: w_i counts the draws of sample i; p1, p2, p3, p4 are the sums of w, w², w³, w⁴ (so p1 draws in all); powers
and products of vectors are elementwise, · is the inner product; K and L are the samples' Gram matrices with entries
k and l, and Q = K∘L their elementwise product.

**Biased.** The Gram matrices of the drawn rows, centred there, have the inner product

    w·Qw − (2/p1) w·(Kw)(Lw) + (w·Kw)(w·Lw) / p1².

**Debiased.** The unbiased HSIC (Song et al. 2012, equation 4) is the mean over four ordered draws i, j, q, r of

    h = k_ij l_ij + k_ij l_qr − 2 k_ij l_iq.

Copies of one sample are not two observations (k between them is a squared length, not a similarity), so the mean is
taken over draws of four *different* samples: Σ w_i w_j w_q w_r h / Σ w_i w_j w_q w_r over distinct i, j, q, r. To leave
out copies from each term of h alone, each with its own normaliser, would not do: only h as a whole, with one, does not
change when all rows are shifted. With the diagonals of K and L (and so of Q) set to 0, and u = Kw, v = Lw, u₂ = Kw²,
v₂ = Lw², inclusion and exclusion give these sums over distinct i, j, q, r:

    w_i w_j w_q w_r             p1⁴ − 6 p1² p2 + 3 p2² + 8 p1 p3 − 6 p4
    w_i w_j w_q w_r k_ij l_ij   (p1² − p2) w·Qw − 4 p1 w²·Qw + 4 w³·Qw + 2 w²·Qw²
    w_i w_j w_q w_r k_ij l_qr   (w·u)(w·v) − 4 w²·uv + 2 w²·Qw²
    w_i w_j w_q w_r k_ij l_iq   p1 w·uv − w²·uv − w·(u₂v + uv₂) − p1 w²·Qw + w²·Qw² + 2 w³·Qw

and, with the signs of h,

    Σ … h = (p1² − p2) w·Qw − 2 p1 w²·Qw + 2 w²·Qw² + (w·u)(w·v) − 2 w·[(p1 + w) uv − u₂v − uv₂].

With every w_i = 1 this is Song's equation 5. All of it comes from the products of K, L and Q with w and w²; what
holds L alone is computed once.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float
    from torch import Tensor

# Resamples are taken so many at a time that an array of samples × resamples has about so many numbers (256 KiB), and a
# few of them stay in a processor's cache; but enough at a time for a matrix product to be worth its while.
_CHUNK, _LEAST = 2**15, 64


class ResampledHsic(NamedTuple):
    """HSIC of the pairs (K, L), (K, K) and (L, L) in every resample, each a mean over draws."""

    biased: Float[Tensor, "3 resamples"]
    debiased: Float[Tensor, "3 resamples"]
    size: Float[Tensor, "3 resamples"]  # the mean of K∘L before the means are taken out: what rounding is a share of


class DrawnRun:
    """The counts of a few resamples, their powers, and p1, p2."""

    def __init__(self, w: Float[Tensor, "samples resamples"]) -> None:
        self.both = torch.cat([w, w * w], 1)
        self.w, self.w2 = self.both.chunk(2, dim=1)
        p1, p2, p3, p4 = (w.double().pow(power).sum(0) for power in (1, 2, 3, 4))
        # Ways to take four ordered draws of different samples; NaN where there is none.
        fours = torch.where((w > 0).sum(0) >= 4, four_draws(p1, p2, p3, p4), torch.nan)
        self.p1, self.p2, self.fours = p1.to(w.dtype), p2.to(w.dtype), fours.to(w.dtype)


def runs_of(counts: Float[Tensor, "resamples samples"]) -> list[DrawnRun]:
    """All resamples, so many at a time; for all matrices that are resampled alike."""
    at_a_time = max(_LEAST, _CHUNK // max(1, counts.shape[1]))
    return [DrawnRun(some.mT.contiguous()) for some in torch.split(counts, at_a_time)]


class FixedGram:
    """L, with all of its own products: half of the work where many K are compared with one L in the same resamples."""

    def __init__(self, gram: Float[Tensor, "samples samples"], runs: Sequence[DrawnRun]) -> None:
        """Both in float64; or in float32, for products to 1e-7 of the largest in less than half of the time."""
        self._gram = gram
        hollow = _Hollow.of(torch.stack([gram, gram * gram]))
        self._parts = []
        for draws in runs:
            fixed, square = (_Drawn(*each, draws) for each in hollow.drawn(draws))
            self._parts.append((fixed, _hsic(fixed, fixed, square)))

    def hsic(self, gram: Float[Tensor, "samples samples"]) -> ResampledHsic:
        """HSIC with the centred Gram matrix K in all resamples."""
        hollow = _Hollow.of(torch.stack([gram, gram * self._gram, gram * gram]))
        parts = []
        for fixed, other in self._parts:
            draws = fixed.draws
            moving, cross, square = (_Drawn(*each, draws) for each in hollow.drawn(draws))
            parts.append(torch.stack([_hsic(moving, fixed, cross), _hsic(moving, moving, square), other], 1))
        return ResampledHsic(*torch.cat(parts, 2))


def four_draws(
    p1: Float[Tensor, "resamples"],
    p2: Float[Tensor, "resamples"],
    p3: Float[Tensor, "resamples"],
    p4: Float[Tensor, "resamples"],
) -> Float[Tensor, "resamples"]:
    """Ways to take four ordered draws of different samples."""
    return p1**4 - 6 * p1**2 * p2 + 3 * p2**2 + 8 * p1 * p3 - 6 * p4


class _Hollow(NamedTuple):
    """Some matrices with their diagonals set to 0, and these diagonals."""

    matrices: Float[Tensor, "matrices samples samples"]
    diagonals: Float[Tensor, "matrices samples"]

    @classmethod
    def of(cls, matrices: Float[Tensor, "matrices samples samples"]) -> _Hollow:
        """`matrices` itself is changed."""
        diagonals = matrices.diagonal(dim1=1, dim2=2).clone()
        matrices.diagonal(dim1=1, dim2=2).zero_()
        return cls(matrices, diagonals)

    def drawn(self, draws: DrawnRun) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Of each matrix its products with w and with w², and its diagonal."""
        once, twice = (self.matrices.flatten(0, 1) @ draws.both).view(*self.diagonals.shape, -1).chunk(2, dim=2)
        return list(zip(once, twice, self.diagonals, strict=True))


class _Drawn:
    """One matrix M in a few resamples: its products with w and w², without its diagonal; and what comes of them."""

    def __init__(
        self,
        once: Float[Tensor, "samples resamples"],
        twice: Float[Tensor, "samples resamples"],
        diagonal: Float[Tensor, "samples"],
        draws: DrawnRun,
    ) -> None:
        self.once, self.twice, self.diagonal, self.draws = once, twice, diagonal, draws
        self.hollow_total = _dot(draws.w, once)
        self.total = self.hollow_total + diagonal @ draws.w2  # w·Mw

    @cached_property
    def weighted(self) -> Float[Tensor, "samples resamples"]:
        return self.draws.w * self.once

    @cached_property
    def whole(self) -> Float[Tensor, "samples resamples"]:
        """w∘Mw, the diagonal with it."""
        return torch.addcmul(self.weighted, self.diagonal[:, None], self.draws.w2)

    @cached_property
    def tripled(self) -> Float[Tensor, "samples resamples"]:
        """w∘[(p1 + w)∘Mw − Mw²], what a triple takes from M where it takes u from the other."""
        return self.weighted * (self.draws.p1 + self.draws.w) - self.draws.w * self.twice


def _hsic(first: _Drawn, second: _Drawn, product: _Drawn) -> Float[Tensor, "3 resamples"]:
    """Biased and debiased HSIC of K and L, and the mean of K∘L; `product` is K∘L."""
    draws = product.draws
    p1, p2 = draws.p1, draws.p2
    size = product.total / p1**2
    within = _dot(torch.addcmul(first.once, first.diagonal[:, None], draws.w), second.whole)
    biased = size - 2 * within / p1**3 + first.total * second.total / p1**4

    pairs = (p1**2 - p2) * product.hollow_total
    pairs += 2 * (_dot(draws.w2, product.twice) - p1 * _dot(draws.w2, product.once))
    triples = _dot(first.once, second.tripled) - _dot(first.twice, second.weighted)
    total = pairs - 2 * triples + first.hollow_total * second.hollow_total
    return torch.stack([biased, total / draws.fours, size])


def _dot(a: Float[Tensor, "samples resamples"], b: Float[Tensor, "samples resamples"]) -> Float[Tensor, "resamples"]:
    return (a * b).sum(0)
