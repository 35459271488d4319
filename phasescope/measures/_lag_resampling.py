"""Correlations at every lag where seeds are drawn anew: from sums over the places of each seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

# Below this product of two sums of squares there is nothing but rounding.
_ROUNDING = 1e-24


def drawn_correlations(
    first: Float64[np.ndarray, "seeds places"],
    second: Float64[np.ndarray, "seeds places"],
    longest: int,
    counts: Int[np.ndarray, "resamples seeds"],
) -> Float64[np.ndarray, "lags resamples"]:
    """Pearson's correlation at each lag, −`longest` to `longest` places, over the places and the seeds that are drawn.

    counts: how often each seed is drawn. NaN where one of the two does not move.
    """
    places = first.shape[1]
    x, y = first - first.mean(), second - second.mean()
    found = np.full((2 * longest + 1, len(counts)), np.nan)
    for row, shift in enumerate(range(-longest, longest + 1)):
        a, b = x[:, max(shift, 0) : places + min(shift, 0)], y[:, max(-shift, 0) : places - max(shift, 0)]
        number = counts.sum(1) * a.shape[1]
        sums = np.stack([a.sum(1), b.sum(1), (a * a).sum(1), (b * b).sum(1), (a * b).sum(1)])
        of_a, of_b, squares_a, squares_b, products = sums @ counts.T
        scale = (squares_a - of_a**2 / number) * (squares_b - of_b**2 / number)
        moving = scale > _ROUNDING
        found[row, moving] = ((products - of_a * of_b / number)[moving]) / np.sqrt(scale[moving])
    return found
