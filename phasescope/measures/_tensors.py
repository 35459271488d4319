"""The door of this room: any tensor or array in, float64 on a device that has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

    Array = Tensor | np.ndarray[Any, Any]


def as_tensor(values: Array) -> Tensor:
    """The values as a tensor cut off from autograd, sharing memory where that is possible."""
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
    return tensor.to(torch.float64)


def shape_of(values: Tensor) -> str:
    """A shape as error messages quote it.

    >>> shape_of(torch.zeros(2, 3))
    '[2, 3]'
    """
    return str(list(values.shape))
