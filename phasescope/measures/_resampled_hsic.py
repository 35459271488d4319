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

With every w_i = 1 this is Song's equation 5. All of it comes from the products of K, L and Q with w and w².
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

# The pairs (K, L), (K, K) and (L, L), as places in a stack of K and L.
_FIRST, _SECOND = [0, 0, 1], [1, 0, 1]
# From K, K∘L, K∘K, L, L∘L to K, L, K∘L, K∘K, L∘L.
_ORDER, _PRODUCTS = [0, 3, 1, 2, 4], 5
# Resamples are taken so many at a time that an array of intermediate results has about so many numbers (1 MiB) and
# stays in a processor's cache; but enough at a time for a matrix product to be worth its while.
_CHUNK, _LEAST = 2**17, 64


class ResampledHsic(NamedTuple):
    """HSIC of the pairs (K, L), (K, K) and (L, L) in every resample, each a mean over draws."""

    biased: Float64[Tensor, "3 resamples"]
    debiased: Float64[Tensor, "3 resamples"]
    size: Float64[Tensor, "3 resamples"]  # the mean of K∘L before the means are taken out: what rounding is a share of


class Sums(NamedTuple):
    """Products of some matrices with the counts w of a few resamples, and with w²."""

    once: Float64[Tensor, "matrices samples resamples"]
    twice: Float64[Tensor, "matrices samples resamples"]


class FixedGram:
    """L, with all of its own products: most of the work where many K are compared with one L in the same resamples."""

    def __init__(self, gram: Float64[Tensor, "samples samples"], counts: Float64[Tensor, "resamples samples"]) -> None:
        self.counts = counts
        self._gram = gram
        self._matrices = torch.stack([gram, gram * gram])
        at_a_time = max(_LEAST, _CHUNK // max(1, 2 * _PRODUCTS * counts.shape[1]))
        self._chunks = [some.mT.contiguous() for some in torch.split(counts, at_a_time)]
        self._sums = [_sums(self._matrices, w) for w in self._chunks]

    def hsic(self, gram: Float64[Tensor, "samples samples"]) -> ResampledHsic:
        """HSIC with the centred Gram matrix K in all resamples."""
        matrices = torch.stack([gram, gram * self._gram, gram * gram])
        diagonal = torch.cat([matrices, self._matrices])[_ORDER].diagonal(dim1=1, dim2=2)[:, :, None]
        parts = [
            _part(_joined(_sums(matrices, w), fixed), diagonal, w)
            for w, fixed in zip(self._chunks, self._sums, strict=True)
        ]
        return ResampledHsic(*(torch.cat(each, 1) for each in zip(*parts, strict=True)))


def _sums(matrices: Float64[Tensor, "matrices samples samples"], w: Float64[Tensor, "samples resamples"]) -> Sums:
    return Sums(*(matrices @ torch.cat([w, w * w], 1)).chunk(2, dim=2))


def _joined(moving: Sums, fixed: Sums) -> Sums:
    """Of K, L, K∘L, K∘K and L∘L, in this order."""
    once, twice = (torch.cat(both)[_ORDER] for both in zip(moving, fixed, strict=True))
    return Sums(once, twice)


def _part(
    sums: Sums, diagonals: Float64[Tensor, "5 samples 1"], w: Float64[Tensor, "samples resamples"]
) -> ResampledHsic:
    """For K, L, K∘L, K∘K and L∘L, and a few resamples; the names are those of the derivation above."""

    def dot(values: Float64[Tensor, "pairs samples resamples"]) -> Float64[Tensor, "pairs resamples"]:
        return (w * values).sum(1)

    p1 = w.sum(0)
    once, twice = sums
    totals = dot(once)
    size = totals[2:] / p1**2
    within = dot(once[_FIRST] * once[_SECOND])
    biased = size - 2 * within / p1**3 + totals[_FIRST] * totals[_SECOND] / p1**4

    diagonal = diagonals * w
    once, twice = once - diagonal, twice - diagonal * w
    u, v, u2, v2 = once[_FIRST], once[_SECOND], twice[_FIRST], twice[_SECOND]
    q, q2 = once[2:], twice[2:]
    pairs = (p1**2 - (w * w).sum(0) - 2 * p1 * w) * q + 2 * w * q2
    triples = (p1 + w) * u * v - u2 * v - u * v2
    totals = dot(once)
    total = dot(pairs - 2 * triples) + totals[_FIRST] * totals[_SECOND]
    return ResampledHsic(biased, total / _different_fours(w), size)


def _different_fours(w: Float64[Tensor, "samples resamples"]) -> Float64[Tensor, "resamples"]:
    """Ways to take four ordered draws of different samples; NaN where there is none."""
    p1, p2, p3, p4 = (w.pow(power).sum(0) for power in (1, 2, 3, 4))
    fours = p1**4 - 6 * p1**2 * p2 + 3 * p2**2 + 8 * p1 * p3 - 6 * p4
    return torch.where((w > 0).sum(0) >= 4, fours, torch.nan)
