"""Correlations of many pairs of variables, with their bootstrap over clusters of samples (sequences of words).

What is drawn is whole clusters, so a correlation in a resample is made of sums over clusters: they are computed once,
and a resample costs one product with its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

    Correlated: TypeAlias = tuple[Float64[np.ndarray, "b a"], Float64[np.ndarray, "resamples b a"]]

# Rows of y whose ranks are held at once.
_ROWS = 16


def clustered_pearson(
    x: Float64[np.ndarray, "a samples"],
    y: Float64[np.ndarray, "b samples"],
    starts: Int[np.ndarray, "clusters"],
    weights: Int[np.ndarray, "resamples clusters"],
) -> Correlated:
    """Pearson's correlation of every row of y with every row of x, and in each resample.

    Args:
        starts: where each cluster begins; its samples lie side by side up to the next one.
        weights: how often each resample draws each cluster (`bootstrap_weights`).

    Returns:
        [b, a] and [resamples, b, a]; NaN where one of the two has no variance or is not finite.
    """
    x, y = _centred(x), _centred(y)
    sums_x, sums_y = _by_cluster(x, starts), _by_cluster(y, starts)
    squares_x, squares_y = _by_cluster(x * x, starts), _squares_by_cluster(y, starts)
    products = _products_by_cluster(y, x, starts)  # [clusters, b, a]
    sizes = _sizes(starts, x.shape[1])

    def correlate(drawn: Float64[np.ndarray, "resamples clusters"]) -> Float64[np.ndarray, "resamples b a"]:
        n = (drawn @ sizes)[:, None, None].astype(np.float64)
        n[n == 0] = np.nan  # a resample of nothing but clusters without samples
        mean_x = (drawn @ sums_x.T)[:, None, :] / n
        mean_y = (drawn @ sums_y.T)[:, :, None] / n
        covariance = (drawn @ products.reshape(len(starts), -1)).reshape(-1, len(y), len(x)) / n - mean_x * mean_y
        variance_x = (drawn @ squares_x.T)[:, None, :] / n - mean_x**2
        variance_y = (drawn @ squares_y.T)[:, :, None] / n - mean_y**2
        return _ratio(covariance, variance_x, variance_y)

    return correlate(np.ones((1, len(starts))))[0], correlate(weights.astype(np.float64))


def clustered_spearman(
    x: Float64[np.ndarray, "a samples"],
    y: Float64[np.ndarray, "b samples"],
    starts: Int[np.ndarray, "clusters"],
    weights: Int[np.ndarray, "resamples clusters"],
) -> Correlated:
    """Spearman's correlation (Pearson's of mid-ranks) of every row of y with every row of x, and in each resample.

    Ranking anew in every resample would cost a sort of all samples each time. The replicates are linear instead
    (infinitesimal jackknife, Efron 1982): the estimate plus the mean influence of the samples that were drawn, where
    the influence of a sample holds what it does to the ranks of all others. They have the bootstrap's spread up to
    terms of order 1/n, and may reach a little beyond 1.

    Arguments and results as for `clustered_pearson`.
    """
    number, samples = len(x), x.shape[1]
    drawn = weights.astype(np.float64)
    totals = (drawn @ _sizes(starts, samples)).astype(np.float64)
    totals[totals == 0] = np.nan
    cluster = np.repeat(np.arange(len(starts)), _sizes(starts, samples))
    ranked_x = [_Ranked(row) for row in x]
    u = np.stack([ranked.centred for ranked in ranked_x])
    variance_u = (u * u).mean(1)
    of_variance_u = np.stack([row * row + 2 * ranked.shift(row) for row, ranked in zip(u, ranked_x, strict=True)])
    estimate = np.empty((len(y), number))
    replicates = np.empty((len(drawn), len(y), number))
    for place, row in enumerate(y):
        ranked = _Ranked(row)
        v = ranked.centred
        variance_v = float((v * v).mean())
        of_variance_v = v * v + 2 * ranked.shift(v)
        covariance = u @ v / samples
        rho = _ratio(covariance, variance_u, np.full(number, variance_v))
        influence = u * v + np.stack([other.shift(v) for other in ranked_x]) + np.stack([ranked.shift(a) for a in u])
        with np.errstate(invalid="ignore", divide="ignore"):
            influence /= np.sqrt(variance_u * variance_v)[:, None]
            influence -= rho[:, None] / 2 * (of_variance_u / variance_u[:, None] + of_variance_v / variance_v)
        influence -= influence.mean(1, keepdims=True)
        sums = np.stack([np.bincount(cluster, weights=values, minlength=len(starts)) for values in influence])
        estimate[place] = rho
        replicates[:, place] = rho + (drawn @ sums.T) / totals[:, None]
    return estimate, replicates


class _Ranked:
    """The mid-ranks of values, as shares of all samples, and what one sample does to the ranks of the others."""

    def __init__(self, values: Float64[np.ndarray, "samples"]) -> None:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        new = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        edges = np.concatenate([np.flatnonzero(new), [len(values)]])
        group = np.cumsum(new) - 1
        self._order = order
        # Of each sample, in its own place: the group of equal values that it is in.
        self._group = np.empty(len(values), dtype=np.int64)
        self._group[order] = group
        self._edges = edges
        middle = (edges[:-1] + edges[1:]) / (2 * len(values))
        self.centred = middle[self._group] - 0.5
        if not np.isfinite(ordered[-1]) or not np.isfinite(ordered[0]):
            self.centred = np.full(len(values), np.nan)

    def shift(self, other: Float64[np.ndarray, "samples"]) -> Float64[np.ndarray, "samples"]:
        """Per sample i: mean over j of ([x_j > x_i] + ½[x_j = x_i]) · other_j, for `other` of mean 0."""
        running = np.concatenate([[0.0], np.cumsum(other[self._order])])[self._edges]
        shifts: Float64[np.ndarray, "samples"] = (-(running[:-1] + running[1:]) / (2 * len(other)))[self._group]
        return shifts


def _ratio(
    covariance: Float64[np.ndarray, "..."],
    variance_x: Float64[np.ndarray, "..."],
    variance_y: Float64[np.ndarray, "..."],
) -> Float64[np.ndarray, "..."]:
    with np.errstate(invalid="ignore", divide="ignore"):
        both = variance_x * variance_y
        # What is left of a constant after centring are rounding errors.
        return np.where((variance_x > 1e-20) & (variance_y > 1e-20), covariance / np.sqrt(both), np.nan)


def _centred(values: Float64[np.ndarray, "rows samples"]) -> Float64[np.ndarray, "rows samples"]:
    centred: Float64[np.ndarray, "rows samples"] = values - values.mean(1, keepdims=True)
    return centred


def _sizes(starts: Int[np.ndarray, "clusters"], samples: int) -> Int[np.ndarray, "clusters"]:
    return np.diff(np.append(starts, samples))


def _by_cluster(
    values: Float64[np.ndarray, "rows samples"], starts: Int[np.ndarray, "clusters"]
) -> Float64[np.ndarray, "rows clusters"]:
    return np.add.reduceat(values, starts, axis=1)


def _squares_by_cluster(
    values: Float64[np.ndarray, "rows samples"], starts: Int[np.ndarray, "clusters"]
) -> Float64[np.ndarray, "rows clusters"]:
    """A few rows at a time: the squares of all would take as much memory as the values."""
    parts = [values[first : first + _ROWS] for first in range(0, len(values), _ROWS)]
    return np.concatenate([_by_cluster(part * part, starts) for part in parts])


def _products_by_cluster(
    left: Float64[np.ndarray, "b samples"], right: Float64[np.ndarray, "a samples"], starts: Int[np.ndarray, "clusters"]
) -> Float64[np.ndarray, "clusters b a"]:
    ends = np.append(starts[1:], left.shape[1])
    return np.stack([left[:, i:j] @ right[:, i:j].T for i, j in zip(starts, ends, strict=True)])
