"""What measures of similarity are given: two sets of activations of the same samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def same_samples(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"]
) -> tuple[Float64[Tensor, "samples p"], Float64[Tensor, "samples q"]]:
    """Both in float64, on the device of x.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.
    """
    x, y = as_float64(x), as_float64(y)
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y):
        raise ValueError(
            f"activations must be [samples, features] of the same samples: these are {shape_of(x)} and {shape_of(y)}"
        )
    return x, y.to(x.device)


def centred_unit(x: Float[Array, "samples p"]) -> Float64[Tensor, "samples p"]:
    """Columns centred, scaled as a whole to Frobenius norm 1; NaN where there is no variance.

    Raises:
        ValueError: x is not a matrix.
    """
    x = as_float64(x)
    if x.ndim != 2:
        raise ValueError(f"activations must be [samples, features]; these are {shape_of(x)}")
    # Against the first row first: constant columns become exact zeros, and huge offsets cost no digits of the mean.
    centred = x - x[:1]
    centred = centred - centred.mean(0)
    largest = centred.abs().amax() if centred.numel() else centred.new_tensor(torch.nan)
    centred = centred / largest  # The squares of tiny numbers are 0.
    found: Tensor = centred / torch.linalg.vector_norm(centred)
    return found


def is_sound(unit: Float64[Tensor, "samples p"]) -> bool:
    """Whether there is anything, and all of it finite."""
    return bool(unit.numel() and unit.isfinite().all())
