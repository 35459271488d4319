"""CKA in resamples before it was made fast: all products in float64, five for each pair. What `scale` divides by.

The polynomials are those of `phasescope.measures._resampled_hsic`, which tells where they come from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from phasescope.measures._hsic import GramPair, alignment, ckas

# The pairs (K, L), (K, K) and (L, L), as places in a stack of K and L.
_FIRST, _SECOND = [0, 0, 1], [1, 0, 1]
# From K, K∘L, K∘K, L, L∘L to K, L, K∘L, K∘K, L∘L.
_ORDER, _PRODUCTS = [0, 3, 1, 2, 4], 5
_CHUNK, _LEAST = 2**17, 64


class FinalStateBefore:
    """CKA with a final state, and in resamples: `FinalState` as it was at commit df68223."""

    def __init__(self, final: Tensor, counts: Tensor) -> None:
        self._final, counts = _unit(final), counts.double()
        self._gram = self._final @ self._final.mT
        self._square, self._diagonal = self._gram.square().sum(), self._final.square().sum(1)
        self._matrices = torch.stack([self._gram, self._gram * self._gram])
        at_a_time = max(_LEAST, _CHUNK // max(1, 2 * _PRODUCTS * counts.shape[1]))
        self._chunks = [some.mT.contiguous() for some in torch.split(counts, at_a_time)]
        self._sums = [_sums(self._matrices, w) for w in self._chunks]

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The biased and the debiased CKA."""
        x = _unit(x)
        samples = len(x)
        if samples <= x.shape[1] + self._final.shape[1]:
            gram = x @ x.mT
            cross, own = torch.dot(gram.flatten(), self._gram.flatten()), gram.square().sum()
        else:
            cross, own = (x.mT @ self._final).square().sum(), (x.mT @ x).square().sum()
        a, b = x.square().sum(1), self._diagonal
        return ckas(
            samples,
            GramPair(cross, a.dot(b), a.sum() * b.sum()),
            GramPair(own, a.dot(a), a.sum() ** 2),
            GramPair(self._square, b.dot(b), b.sum() ** 2),
        )

    def resampled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same in each resample."""
        x = _unit(x)
        gram = x @ x.mT
        matrices = torch.stack([gram, gram * self._gram, gram * gram])
        diagonal = torch.cat([matrices, self._matrices])[_ORDER].diagonal(dim1=1, dim2=2)[:, :, None]
        parts = [
            _part(_joined(_sums(matrices, w), fixed), diagonal, w)
            for w, fixed in zip(self._chunks, self._sums, strict=True)
        ]
        biased, debiased, size = (torch.cat(each, 1) for each in zip(*parts, strict=True))
        return alignment(*biased, *size[1:]).clamp(max=1), alignment(*debiased, *size[1:])


class _Sums(NamedTuple):
    """Products of some matrices [matrices, samples, resamples] with the counts w of a few resamples, and with w²."""

    once: Tensor
    twice: Tensor


def _unit(x: Tensor) -> Tensor:
    centred = x.double() - x[:1].double()
    centred = centred - centred.mean(0)
    return centred / torch.linalg.vector_norm(centred)


def _sums(matrices: Tensor, w: Tensor) -> _Sums:
    return _Sums(*(matrices @ torch.cat([w, w * w], 1)).chunk(2, dim=2))


def _joined(moving: _Sums, fixed: _Sums) -> _Sums:
    """Of K, L, K∘L, K∘K and L∘L, in this order."""
    once, twice = (torch.cat(both)[_ORDER] for both in zip(moving, fixed, strict=True))
    return _Sums(once, twice)


def _part(sums: _Sums, diagonals: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For K, L, K∘L, K∘K and L∘L, and a few resamples; the names are those of the derivation above."""

    def dot(values: Tensor) -> Tensor:
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
    return biased, total / _different_fours(w), size


def _different_fours(w: Tensor) -> Tensor:
    """Ways to take four ordered draws of different samples; NaN where there is none."""
    p1, p2, p3, p4 = (w.pow(power).sum(0) for power in (1, 2, 3, 4))
    fours = p1**4 - 6 * p1**2 * p2 + 3 * p2**2 + 8 * p1 * p3 - 6 * p4
    return torch.where((w > 0).sum(0) >= 4, fours, torch.nan)
