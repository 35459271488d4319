"""One side of a comparison: activations with all that a measure of similarity needs of them alone, found once.

A layer is compared with many others: itself at the last step and at the step before, other layers, other seeds. What a
comparison costs is then a product or two of what is prepared here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

from phasescope.measures._draws import Draws
from phasescope.measures.resampling import bootstrap_weights

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64
    from torch import Tensor

S = TypeVar("S", bound="Side")


@dataclass(frozen=True, eq=False)
class Chance:
    """How samples are drawn anew, for intervals, and put into another order, for the null.

    Attributes:
        draws: the resamples.
        groups: how many groups of samples that follow each other are drawn, and change places, as a whole.
        order: of the samples, in which every group meets another one.
    """

    draws: Draws
    groups: int
    order: Int64[Tensor, "samples"]

    @classmethod
    def of(cls, samples: int, groups: int, resamples: int, seed: int) -> Chance:
        """The same for the same seed.

        groups: of equal size, such as the sequences, of which several positions each were sampled.

        Raises:
            ValueError: the samples do not make so many equal groups.
        """
        if groups < 1 or samples % groups:
            raise ValueError(f"{samples} samples do not make {groups} equal groups")
        counts = bootstrap_weights(groups, resamples, seed).repeat_interleave(samples // groups, dim=1)
        around = torch.randperm(groups, generator=torch.Generator().manual_seed(seed))
        others = torch.empty_like(around)
        others[around] = around.roll(1)
        return cls(Draws(counts), groups, torch.arange(samples).view(groups, -1)[others].flatten())


@dataclass(frozen=True)
class Told:
    """A similarity with its replicates, one for each resample, and what is left of it when samples do not match."""

    value: Float64[Tensor, ""]
    replicates: Float64[Tensor, "resamples"]
    shuffled: Float64[Tensor, ""]


class Side(ABC):
    """Activations `[samples, p]`, prepared for one measure.

    Attributes:
        samples: how many.
        sound: whether the measure says anything of them at all: they are finite, and vary.
    """

    samples: int
    sound: bool

    def to(self: S, other: S) -> Float64[Tensor, ""]:
        """The measure of these and other activations of the same samples; NaN where it is not defined."""
        self._require_same(other)
        return self._value(other) if self.sound and other.sound else torch.tensor(torch.nan, dtype=torch.float64)

    def told(self: S, other: S, chance: Chance) -> Told:
        """The same, with replicates and null. Of one group neither says anything: they are NaN."""
        self._require_same(other)
        nothing = torch.full((len(chance.draws.counts),), torch.nan, dtype=torch.float64)
        if not self.sound or not other.sound:
            return Told(nothing.new_tensor(torch.nan), nothing, nothing.new_tensor(torch.nan))
        if chance.groups < 2:
            return Told(self._value(other), nothing, nothing.new_tensor(torch.nan))
        return self._told(other, chance)

    def why_not(self: S, other: S) -> str:
        """Why the measure is not defined of finite activations that vary, in words; "" where it cannot say."""
        return ""

    @abstractmethod
    def _value(self: S, other: S) -> Float64[Tensor, ""]: ...

    @abstractmethod
    def _told(self: S, other: S, chance: Chance) -> Told: ...

    def _require_same(self, other: Side) -> None:
        if self.samples != other.samples:
            raise ValueError(
                f"activations are compared of the same samples: these are {self.samples} and {other.samples}"
            )


def block_sums(
    matrix: Float64[Tensor, "samples samples"], groups: int
) -> tuple[Float64[Tensor, "size size"], Float64[Tensor, "size size"]]:
    """Of a matrix in blocks of equal groups of samples: the sum of its diagonal blocks, and that of all others."""
    size = len(matrix) // groups
    blocks = matrix.view(groups, size, groups, size)
    diagonal = blocks.diagonal(dim1=0, dim2=2).sum(-1)
    return diagonal, blocks.sum((0, 2)) - diagonal


def over_orders(
    first: tuple[Float64[Tensor, "size size"], Float64[Tensor, "size size"]],
    second: tuple[Float64[Tensor, "size size"], Float64[Tensor, "size size"]],
    groups: int,
) -> Float64[Tensor, ""]:
    """⟨A, PBPᵀ⟩, its mean over all permutations P of equal groups of samples, from the `block_sums` of A and B.

    The product of their mean diagonal blocks and that of their mean other blocks, each times how many there are.
    """
    (diagonal, others), (other_diagonal, other_others) = first, second
    found: Tensor = (diagonal * other_diagonal).sum() / groups
    return found + (others * other_others).sum() / (groups * (groups - 1))
