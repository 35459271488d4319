"""What several chains of draws say of a mean, and whether they can be believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Float64


def split_r_hat(chains: Float[np.ndarray, "chains draws"]) -> float:
    """Gelman & Rubin's R-hat, each chain split in halves (Gelman et al., Bayesian Data Analysis, section 11.4).

    1 where all halves say the same; above 1.1 the chains have not mixed, or drift; infinite where halves are stuck,
    each at a value of its own. NaN for fewer than four draws, where a chain has a draw that is not finite, and where
    all draws of all chains are equal: these say nothing of whether chains mix.
    """
    values = np.asarray(chains, dtype=np.float64)
    half = values.shape[1] // 2
    if not len(values) or half < 2 or not np.isfinite(values).all() or np.ptp(values) == 0:
        return float("nan")
    halves = np.concatenate([values[:, :half], values[:, values.shape[1] - half :]])
    # The mean of equal draws is rounded, so that they would have a variance.
    within = np.where(np.ptp(halves, axis=1) > 0, halves.var(axis=1, ddof=1), 0.0).mean()
    between = half * halves.mean(axis=1).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within)) if within > 0 else float("inf")


def lag_one(chains: Float[np.ndarray, "chains draws"]) -> float:
    """Autocorrelation of each draw with the next, mean over chains, each about its mean; NaN where nothing varies."""
    values = np.asarray(chains, dtype=np.float64)
    centred = values - values.mean(axis=1, keepdims=True) if values.size else values
    square = (centred**2).sum(axis=1)
    if not values.size or not (square > 0).any():
        return float("nan")
    products = (centred[:, 1:] * centred[:, :-1]).sum(axis=1)
    return float((products[square > 0] / square[square > 0]).mean())


def mean_of_chains(means: Float[np.ndarray, "chains"], level: float = 0.95) -> tuple[float, float, float]:
    """The mean of independent chains' means with Student's t interval; (mean, NaN, NaN) of one, all NaN of none."""
    from scipy.stats import t

    values: Float64[np.ndarray, "chains"] = np.asarray(means, dtype=np.float64)
    if not len(values):
        return (float("nan"),) * 3
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half
