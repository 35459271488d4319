"""Who is near whom: nearest neighbours of samples, and whether two sets of activations agree on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import same_samples
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def nearest(x: Float[Array, "samples p"], k: int) -> Int64[Tensor, "samples k"]:
    """For each sample the k others of the highest cosine with it, the nearest first.

    Raises:
        ValueError: x is not a matrix, or has no k other samples.
    """
    x = as_float64(x)
    if x.ndim != 2 or not 1 <= k < len(x):
        raise ValueError(f"{k} nearest neighbours need [samples, features] of more than {k} samples: {shape_of(x)}")
    unit = x / torch.linalg.vector_norm(x, dim=1, keepdim=True)
    cosines = unit @ unit.mT
    cosines.fill_diagonal_(-torch.inf)
    found: Tensor = cosines.topk(k, dim=1).indices
    return found


def shared_neighbours(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], k: int = 10
) -> Float64[Tensor, "samples"]:
    """For each sample the share of its k nearest neighbours in x that are among those in y.

    Its mean is the mutual nearest-neighbour alignment of Huh et al. (2024, arXiv 2405.07987, equation 11); k / (n − 1)
    is what unrelated activations of n samples share by chance.

    Returns:
        No unit; 0 … 1. NaN for all where a sample is zero or not finite, or there are no k others.

    Raises:
        ValueError: x or y is not a matrix, they differ in their number of rows, or k is below 1.

    >>> x = torch.randn(50, 8)
    >>> float(shared_neighbours(x, 2 * x).mean())
    1.0
    """
    x, y = same_samples(x, y)
    if k < 1:
        raise ValueError(f"a sample has 1 nearest neighbour or more, not {k}")
    lengths = torch.stack([torch.linalg.vector_norm(side, dim=1) for side in (x, y)])
    if len(x) <= k or not bool((lengths.isfinite() & (lengths > 0)).all()):
        return x.new_full((len(x),), torch.nan)
    chosen = torch.zeros(len(x), len(x), dtype=torch.bool, device=x.device).scatter_(1, nearest(x, k), True)
    return chosen.gather(1, nearest(y, k)).sum(1) / k


def mutual_neighbours(x: Float[Array, "samples p"], y: Float[Array, "samples q"], k: int = 10) -> Float64[Tensor, ""]:
    """The mean over samples of `shared_neighbours`, with the same errors."""
    return shared_neighbours(x, y, k).mean()
