"""The products of all rows of a matrix with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor


def products(x: Float64[Tensor, "n d"]) -> Float64[Tensor, "n n"]:
    """XXᵀ. It is symmetric: of four blocks of rows, five eighths are multiplied."""
    n = len(x)
    found = x.new_empty(n, n)
    size = max(-(-n // 4), 64)
    for first in range(0, n, size):
        last = first + size
        found[first:last, first:] = x[first:last] @ x[first:].mT
        found[last:, first:last] = found[first:last, last:].mT
    return found
