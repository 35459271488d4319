"""Weights along training: how large they are, how far they have come, and how straight their way was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def frobenius_norm_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """√Σσ²: the size of all entries together. Unit: that of the matrix; NaN where a value is."""
    found: Tensor = torch.linalg.vector_norm(as_float64(singular_values), dim=-1)
    return found


def nuclear_norm_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """Σσ, the convex stand-in for rank. Unit: that of the matrix; NaN where a value is."""
    return as_float64(singular_values).sum(-1)


def spectral_norm_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """The largest σ: by how much the matrix stretches at most. Unit: that of the matrix; NaN where a value is, or none.

    >>> float(spectral_norm_of(torch.tensor([3.0, 1.0])))
    3.0
    """
    return _ends(singular_values)[0]


def condition_number_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """The largest σ over the smallest. No unit, 1 or more; infinite for a rank-deficient matrix; NaN for one of zeros.

    A smallest value under the rounding of float32 relative to the largest counts as 0: it says nothing but how the
    matrix was stored.
    """
    largest, smallest = _ends(singular_values)
    return torch.where(smallest <= torch.finfo(torch.float32).eps * largest, torch.inf, largest / smallest).where(
        largest > 0, torch.nan
    )


def stable_rank_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """‖W‖²_F / σ₁², at most the rank, and little moved by small singular values (Rudelson & Vershynin 2007).

    No unit, 1 or more; NaN for a matrix of zeros.

    >>> round(float(stable_rank_of(torch.tensor([2.0, 2.0, 0.0]))), 6)
    2.0
    """
    return (frobenius_norm_of(singular_values) / spectral_norm_of(singular_values)).square()


def _ends(singular_values: Float[Array, "... k"]) -> tuple[Float64[Tensor, "..."], Float64[Tensor, "..."]]:
    values = as_float64(singular_values)
    if not values.shape[-1]:
        nan = values.new_full(values.shape[:-1], torch.nan)
        return nan, nan
    return values.amax(-1), values.amin(-1)


def path_share(moves: Float[Array, "updates"]) -> Float64[Tensor, "updates+1"]:
    """The share of the whole path that is gone at each of the points between which the moves lie.

    Args:
        moves: lengths of the way from each point to the next. Of few points the path is the shorter, the fewer they
            are: what goes to and fro between two of them is not seen.

    Returns:
        No unit; from 0 to 1. NaN throughout where nothing moved or a move is not known.

    Raises:
        ValueError: moves is not one row, or one is negative.

    >>> path_share(torch.tensor([1.0, 3.0])).tolist()
    [0.0, 0.25, 1.0]
    """
    lengths = as_float64(moves)
    if lengths.ndim != 1:
        raise ValueError(f"moves must be [updates]; these are {shape_of(lengths)}")
    if bool((lengths < 0).any()):
        raise ValueError("moves are lengths: none may be negative")
    gone = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    return torch.where(lengths.isnan().any(), torch.nan, gone / lengths.sum())


def sampled_distance(
    x: Float[Array, "entries"], y: Float[Array, "entries"], size: int
) -> tuple[Float64[Tensor, ""], Float64[Tensor, ""]]:
    """The Frobenius distance of two matrices from the same few entries of both, and its standard error.

    √(N · mean (x − y)²) of N entries in all; the error by the delta method, with the entries drawn at random.

    Args:
        x, y: the entries, drawn with the same probability each.
        size: entries of the whole matrix; where all are there, the distance is exact.

    Returns:
        (distance, standard error), in the unit of x; NaN where an entry is. 0 ± 0 of equal entries.

    Raises:
        ValueError: the shapes differ or are not one row, or there are more entries than the matrix has.
    """
    x, y = as_float64(x), as_float64(y)
    if x.ndim != 1 or x.shape != y.shape or not 0 < len(x) <= size:
        raise ValueError(f"entries must be two rows as long as each other, of {size}: {shape_of(x)}, {shape_of(y)}")
    squares = (x - y).square()
    distance = (squares.mean() * size).sqrt()
    if len(x) == size:
        return distance, torch.zeros_like(distance)
    spread = squares.std() if len(x) > 1 else squares.new_tensor(torch.nan)
    error = torch.where(distance == 0, distance, size * spread / (2 * distance * len(x) ** 0.5))
    return distance, error
