"""Means of many rows over tokens, with their bootstrap over sequences, all rows at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Float64

    from phasescope.analyses.options import Options

    Means = tuple[Float64[np.ndarray, "rows"], Float64[np.ndarray, "resamples rows"]]


def mean_intervals(
    values: Float[np.ndarray, "rows sequences positions"], options: Options
) -> list[tuple[float, float, float]]:
    """(mean, low, high) of each row; the numbers of `clustered_mean_interval`, from resamples that all rows share.

    A NaN is a value that is not there. Without two sequences that have values there is no interval: NaN.
    """
    from phasescope.measures import interval

    mean, drawn = resampled_means(values, options)
    low, high = interval(drawn, mean, options.level)
    return [(float(a), float(b), float(c)) for a, b, c in zip(mean, low, high, strict=True)]


def resampled_means(values: Float[np.ndarray, "rows sequences positions"], options: Options) -> Means:
    """The mean of each row, and in each resample of the sequences, which all rows share."""
    return resampled_ratios(*of_sequences(values), options)


def of_sequences(
    values: Float[np.ndarray, "... sequences positions"],
) -> tuple[Float64[np.ndarray, "... sequences"], Float64[np.ndarray, "... sequences"]]:
    """Of each sequence the sum of its values, and how many they are: a NaN is a value that is not there."""
    sums: Float64[np.ndarray, "... sequences"] = np.nansum(values, -1, dtype=np.float64)  # type: ignore[assignment]
    return sums, (~np.isnan(values)).sum(-1).astype(np.float64)


def resampled_ratios(
    sums: Float64[np.ndarray, "rows sequences"], counts: Float64[np.ndarray, "rows sequences"], options: Options
) -> Means:
    """Sums over counts, of all sequences, and of each resample of them; NaN where fewer than two have any."""
    from phasescope.measures import bootstrap_weights

    weights = bootstrap_weights(sums.shape[1], options.resamples, options.seed).numpy().astype(np.float64)
    drawn = ratio(weights @ sums.T, weights @ counts.T)
    drawn[:, (counts > 0).sum(1) < 2] = np.nan
    return ratio(sums.sum(1), counts.sum(1)), drawn


def ratio(a: Float64[np.ndarray, "..."], b: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """a / b; NaN where b is not above 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(b > 0, a / b, np.nan)
