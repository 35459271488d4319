"""The mean over a few seeds, and how sure it is: Student's t, as a bootstrap of so few is too narrow."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64


def mean_over_seeds(
    values: Float64[np.ndarray, "seeds ..."],
    level: float = 0.95,
    common: Float64[np.ndarray, "..."] | float | None = None,
) -> tuple[Float64[np.ndarray, "..."], Float64[np.ndarray, "..."], Float64[np.ndarray, "..."]]:
    """The mean over seeds and its interval.

    Args:
        values: what was measured of each seed; a NaN is a seed that does not count.
        level: of the interval.
        common: the standard error of what all seeds share, such as the texts that all of them read. It does not average
            out over seeds, and is added to what differs between them. Of a single seed it is all that is known.

    Returns:
        (mean, low, high); the edges are NaN where fewer than two seeds count and nothing is known of what they share.

    Source: Student (1908): mean ± t(n − 1) s / √n.
    """
    from scipy.stats import norm, t

    values = np.asarray(values, np.float64)
    count = np.isfinite(values).sum(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, np.nansum(values, 0) / count, math.nan)
        variance = np.nansum((values - mean) ** 2, 0) / (count - 1)
        own = t.ppf((1 + level) / 2, np.maximum(count - 1, 1)) * np.sqrt(variance / count)
    shared = np.asarray(math.nan if common is None else common, np.float64) * norm.ppf((1 + level) / 2)
    alone = count < 2
    half = np.hypot(np.where(alone, 0.0, own), np.where(alone, shared, np.nan_to_num(shared)))
    return mean, mean - half, mean + half
