"""Means along training, kept so that they can be resampled over sequences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64
    from numpy import ndarray

    from phasescope.analyses.options import Options

    Array = ndarray[Any, Any]


@dataclass(frozen=True)
class PerSequence:
    """A mean along training that can be resampled: of every step and sequence a sum, and how many values it is of."""

    sums: Float64[Array, "checkpoints sequences"]
    counts: Float64[Array, "checkpoints sequences"]

    @classmethod
    def of(cls, values: Array) -> PerSequence:
        """From `[checkpoints, sequences, …]`; what is not finite is not there."""
        flat = values.reshape(*values.shape[:2], -1)
        known = np.isfinite(flat)
        return cls(np.where(known, flat, 0).sum(2, dtype=np.float64), known.sum(2, dtype=np.float64))

    @classmethod
    def stacked(cls, parts: Sequence[PerSequence]) -> PerSequence:
        """Several checkpoints, one after the other."""
        return cls(np.concatenate([part.sums for part in parts]), np.concatenate([part.counts for part in parts]))

    @classmethod
    def summed(cls, parts: Iterable[PerSequence]) -> PerSequence:
        """Of the same checkpoints and sequences, all values together: at least one part."""
        return reduce(add, parts)

    def __add__(self, other: PerSequence) -> PerSequence:
        return PerSequence(self.sums + other.sums, self.counts + other.counts)

    def at(self, rows: Sequence[int]) -> PerSequence:
        """The checkpoints in these places."""
        return PerSequence(self.sums[list(rows)], self.counts[list(rows)])

    @property
    def mean(self) -> Float64[Array, "checkpoints"]:
        return ratio_of(self.sums.sum(1), self.counts.sum(1))

    def replicates(self, options: Options) -> Float64[Array, "resamples checkpoints"]:
        """The mean in each resample of the sequences; NaN where one has values: it says nothing of how they differ."""
        from phasescope.measures import bootstrap_weights

        weights = bootstrap_weights(self.sums.shape[1], options.resamples, options.seed).numpy().astype(np.float64)
        drawn = ratio_of(weights @ self.sums.T, weights @ self.counts.T)
        return np.where((self.counts > 0).sum(1) > 1, drawn, np.nan)


def ratio_of(above: Array, below: Array) -> Array:
    """Quotients; NaN or infinite, without a warning, where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)
