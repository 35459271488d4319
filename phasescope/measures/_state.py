"""Activations as CKA sees them: centred, of size 1, with what comparisons need of them found once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from phasescope.measures._products import products
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float32, Float64, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array


class State:
    """A layer's activations X, centred and with XXᵀ = K of trace 1, so that nothing overflows.

    All is NaN where they have no variance, and so no CKA.

    Args:
        x: activations, one row per sample.
        device: where to compute; by default where they are.

    Raises:
        ValueError: x is not a matrix.
    """

    def __init__(self, x: Float[Array, "samples p"], device: torch.device | None = None) -> None:
        unit = centred(x)
        unit /= torch.linalg.vector_norm(unit)
        self.unit: Float64[Tensor, "samples p"] = unit.to(device)
        self.samples = int(self.unit.shape[0])

    @cached_property
    def gram(self) -> Float64[Tensor, "samples samples"]:
        """K."""
        return products(self.unit)

    @cached_property
    def single(self) -> Float32[Tensor, "samples p"]:
        """X in float32."""
        return self.unit.float()

    @cached_property
    def single_gram(self) -> Float32[Tensor, "samples samples"]:
        """K in float32, from what there is already."""
        made = "gram" in self.__dict__ or not self.is_narrow(self)
        return self.gram.float() if made else self.single @ self.single.mT

    @cached_property
    def diagonal(self) -> Float64[Tensor, "samples"]:
        """Kᵢᵢ."""
        return self.unit.square().sum(1)

    @cached_property
    def product(self) -> Float64[Tensor, ""]:
        """⟨K, K⟩."""
        return product(self, self)

    def gram_rows(self, rows: Int64[Tensor, "rows"]) -> Float64[Tensor, "rows samples"]:
        """Some rows of K."""
        return self.gram[rows] if "gram" in self.__dict__ else self.unit[rows] @ self.unit.mT

    def times(self, vector: Float64[Tensor, "samples"]) -> Float64[Tensor, "samples"]:
        """K times a vector."""
        return self.unit @ (vector @ self.unit)

    def times_rows(self, rows: Float64[Tensor, "rows samples"]) -> Float64[Tensor, "rows samples"]:
        """Rows times K."""
        return rows @ self.gram if "gram" in self.__dict__ else (rows @ self.unit) @ self.unit.mT

    def is_narrow(self, other: State) -> bool:
        """Whether products of features × features are cheaper than those of samples × samples.

        Multiplications: samples² · p for XXᵀ, samples · p · (p + q) for XᵀX and XᵀY.
        """
        return self.samples > self.unit.shape[1] + other.unit.shape[1]


def product(first: State, second: State) -> Float64[Tensor, ""]:
    """⟨K, L⟩."""
    if first.is_narrow(second):
        norm: Tensor = torch.linalg.vector_norm(first.unit.mT @ second.unit)
        return norm.square()
    return torch.dot(first.gram.flatten(), second.gram.flatten())


def row_products(first: State, second: State) -> Float64[Tensor, "samples"]:
    """The row sums of K∘L: those of X(XᵀY)∘Y."""
    if first.is_narrow(second):
        return ((first.unit @ (first.unit.mT @ second.unit)) * second.unit).sum(1)
    return (first.gram * second.gram).sum(1)


def centred(x: Float[Array, "samples p"]) -> Float64[Tensor, "samples p"]:
    """The activations without their means, in float64.

    Raises:
        ValueError: x is not a matrix.
    """
    activations = as_float64(x)
    if activations.ndim != 2:
        raise ValueError(f"activations must be [samples, features]; these are {shape_of(activations)}")
    # Against the first row first: constant columns become exact zeros, and huge offsets cost no digits of the mean.
    found = activations - activations[:1]
    found -= found.mean(0)
    return found
