"""How far two matrices point the same way: inner products, cosines, and sketches that tell cosines later."""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from phasescope.measures._tensors import as_float64, as_tensor, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from numpy.typing import NDArray
    from torch import Tensor

    from phasescope.measures._tensors import Array

# Entries turned into float64 at a time, so that an embedding matrix is never copied whole.
_CHUNK = 2**20


def frobenius_product(x: Float[Array, "... rows cols"], y: Float[Array, "... rows cols"]) -> Float64[Tensor, "..."]:
    """The inner product of matrices, Σ x_ij y_ij, in float64; of a matrix with itself its squared Frobenius norm.

    Unit: that of x times that of y. NaN where a matrix has a NaN.

    Raises:
        ValueError: the shapes differ, or have fewer than two dimensions.

    >>> frobenius_product(torch.eye(3), torch.ones(3, 3))
    tensor(3., dtype=torch.float64)
    """
    x, y = as_tensor(x), as_tensor(y)
    if x.ndim < 2 or x.shape != y.shape:
        raise ValueError(f"matrices must both be [..., rows, cols]; these are {shape_of(x)} and {shape_of(y)}")
    rows = max(1, _CHUNK * x.shape[-2] // max(x.numel(), 1))
    parts = zip(torch.split(x, rows, dim=-2), torch.split(y, rows, dim=-2), strict=True)
    return torch.stack([(as_float64(a) * as_float64(b)).sum((-2, -1)) for a, b in parts]).sum(0)


def cosine(x: Float[Array, "... entries"], y: Float[Array, "... entries"]) -> Float64[Tensor, "..."]:
    """The cosine of the angle between vectors, from −1 to 1, in float64; NaN where one of them is zero or not finite.

    Raises:
        ValueError: the shapes differ.

    >>> cosine(torch.tensor([1.0, 1.0]), torch.tensor([2.0, 0.0])).item()
    0.7071067811865475
    """
    x, y = as_float64(x), as_float64(y)
    if x.shape != y.shape:
        raise ValueError(f"vectors must both be [..., entries]; these are {shape_of(x)} and {shape_of(y)}")
    # Scaled first: the squares of tiny numbers are 0. Zeros alone become NaN here, by 0 / 0.
    x, y = (values / values.abs().amax(-1, keepdim=True) for values in (x, y))
    lengths = torch.linalg.vector_norm(x, dim=-1) * torch.linalg.vector_norm(y, dim=-1)
    cosines: Tensor = (x * y).sum(-1) / lengths
    return cosines.clamp(-1, 1)


def count_sketch(values: Float[Array, "..."], size: int, key: str) -> Float[NDArray[np.float32], "size"]:
    """A short vector whose inner products estimate those of the values (Charikar, Chen & Farach-Colton 2002).

    Every entry is added, with a random sign, to one of `size` random places; both are a function of `key` and of the
    entry's place in the values alone, so that sketches with one key can be compared whoever made them, and when. The
    cosine of two sketches is that of the values with a standard error of about (1 − cosine²) / √size
    (`sketch_error`). Values of no more than `size` entries are their own sketch, which is exact.

    Args:
        values: any shape; their order is that of rows.
        size: of the sketch, a power of two.
        key: names the random places, such as the name of a site.

    Raises:
        ValueError: `size` is not a power of two.

    >>> a = torch.randn(300, 200)
    >>> b = a + torch.randn(300, 200)
    >>> exact = cosine(a.flatten(), b.flatten())
    >>> bool(abs(cosine(*(count_sketch(x, 4096, "a key") for x in (a, b))) - exact) < 4 * sketch_error(exact, 4096))
    True
    """
    if size < 1 or size & (size - 1):
        raise ValueError(f"the size of a sketch must be a power of two; it is {size}")
    flat: NDArray[np.float32] = as_tensor(values).flatten().float().cpu().numpy()
    if len(flat) <= size:
        return flat.copy()
    seed = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little")
    total = np.zeros(size)
    for first in range(0, len(flat), _CHUNK):
        part = flat[first : first + _CHUNK]
        bits = _mixed(np.arange(first, first + len(part), dtype=np.uint64), seed)
        signed = np.where(bits >> np.uint64(63), part, -part)
        total += np.bincount((bits & np.uint64(size - 1)).astype(np.intp), weights=signed, minlength=size)
    return total.astype(np.float32)


def sketch_error(cosine: Float[Array, "..."], size: int) -> Float64[Tensor, "..."]:
    """The standard error of a cosine that was told from sketches of that size: (1 − cosine²) / √size."""
    return (1 - as_float64(cosine).square()) / math.sqrt(size)


def _mixed(places: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """64 random bits for each place: SplitMix64 (Steele, Lea & Flood 2014), the same on every machine."""
    with np.errstate(over="ignore"):
        bits = (places + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
        bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
