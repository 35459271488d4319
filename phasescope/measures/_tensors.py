"""The door of this room: any tensor or array in, float64 on a device that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

    Array = Tensor | np.ndarray[Any, Any]


def as_tensor(values: Array) -> Tensor:
    """The values as a tensor cut off from autograd, sharing memory where that is possible."""
    import torch

    if isinstance(values, torch.Tensor):
        return values.detach()
    array = np.asarray(values)
    # torch takes no negative strides, and warns of memory that it may not write to.
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()
    return torch.as_tensor(array)


def as_float64(values: Array) -> Tensor:
    """The values in float64, on their own device or, where that has no float64 (MPS), on the CPU."""
    tensor = as_tensor(values)
    if tensor.device.type == "mps":
        tensor = tensor.cpu()
    return tensor.double()


def as_array(values: Array) -> Float64[np.ndarray, "..."]:
    """The values in float64 as an array, for measures that need no tensors: arrays and lists do not wait for torch."""
    if hasattr(values, "detach"):
        return as_float64(values).cpu().numpy()
    return np.asarray(values, dtype=np.float64)


def unit_rows(values: Float64[Tensor, "... n d"]) -> Float64[Tensor, "... n d"]:
    """Rows of length 1, of any scale: the squares of 1e200 do not overflow. NaN where a row is zero or not finite."""
    import torch

    if not values.shape[-1]:
        return values
    scaled = values / values.abs().amax(-1, keepdim=True)
    found: Tensor = scaled / torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return found


def shape_of(values: Tensor) -> str:
    """A shape as error messages quote it.

    >>> shape_of(torch.zeros(2, 3))
    '[2, 3]'
    """
    return str(list(values.shape))
