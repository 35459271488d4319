"""A few entries of a large matrix, the same at every step, in the place of the whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

ENTRIES = 256
"""How many: the standard error of a correlation near 0 is then 1/16, near 1 far less; rules take means of matrices."""


def sampled_places(name: str, entries: int, at_most: int = ENTRIES) -> Int[np.ndarray, "sampled"]:
    """Places (of a matrix's entries in the order of rows) that a name chooses, ascending: all where there are no more.

    The seed is BLAKE2b (8 bytes, little-endian) of the name, of numpy's PCG64.
    """
    if entries <= at_most:
        return np.arange(entries)
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
    drawn = np.random.default_rng(seed).integers(0, entries, at_most)
    return np.unique(drawn)


def sampled_entries(weight: Tensor, name: str) -> Float[np.ndarray, "sampled"]:
    """The entries of a tensor at these places, as float32."""
    import torch

    # Not by `reshape(-1)`, which copies all of a matrix that is the transpose of what is stored.
    places = np.unravel_index(sampled_places(name, weight.numel()), tuple(weight.shape))
    at = tuple(torch.from_numpy(axis).to(weight.device) for axis in places)
    return weight.detach()[at].float().cpu().numpy()


def digest_of_bytes(weight: Tensor) -> str:
    """BLAKE2b (16 bytes, hex) of the bytes of a tensor in the order of rows, with its type and shape before them."""
    import torch

    plain = weight.detach().contiguous().cpu()
    total = hashlib.blake2b(f"{plain.dtype} {tuple(plain.shape)}".encode(), digest_size=16)
    total.update(plain.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()
