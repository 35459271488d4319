"""Correlations and their bootstrap against scipy, and against drawing samples anew."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from phasescope.measures import bootstrap_weights, clustered_pearson, clustered_spearman

DRAW = np.random.default_rng(0)
SIZES = DRAW.integers(3, 25, size=50)
STARTS = np.concatenate([[0], np.cumsum(SIZES)[:-1]])
SAMPLES = int(SIZES.sum())
SHARED = np.repeat(DRAW.normal(size=50), SIZES)  # what the samples of a cluster have in common
X = np.stack([np.round(DRAW.normal(size=SAMPLES) + SHARED), DRAW.normal(size=SAMPLES)])  # the first full of ties
Y = np.stack([X[0] + DRAW.normal(size=SAMPLES) + SHARED + 1e4, np.exp(X[1]) + DRAW.normal(size=SAMPLES)])
WEIGHTS = bootstrap_weights(50, 400, seed=1).numpy()


def drawn_anew(correlation: object) -> np.ndarray:
    """The plain way: put the samples of each resample together and correlate them."""
    found = []
    for counts in WEIGHTS:
        clusters = np.repeat(np.arange(50), counts)
        rows = np.concatenate([np.arange(STARTS[c], STARTS[c] + SIZES[c]) for c in clusters])
        found.append([[correlation(a[rows], b[rows])[0] for a in X] for b in Y])  # type: ignore[operator]
    return np.array(found)


def test_pearson_is_scipys_also_in_every_resample() -> None:
    estimate, replicates = clustered_pearson(X, Y, STARTS, WEIGHTS)
    np.testing.assert_allclose(estimate, [[pearsonr(a, b)[0] for a in X] for b in Y], atol=1e-12)
    np.testing.assert_allclose(replicates, drawn_anew(pearsonr), atol=1e-9)


def test_spearman_is_scipys_and_spreads_as_ranking_anew_does() -> None:
    estimate, replicates = clustered_spearman(X, Y, STARTS, WEIGHTS)
    np.testing.assert_allclose(estimate, [[spearmanr(a, b)[0] for a in X] for b in Y], atol=1e-12)
    anew = drawn_anew(spearmanr)
    # Linear replicates leave out terms of order 1/n: a few per cent of the spread with 50 clusters.
    np.testing.assert_allclose(replicates.std(0), anew.std(0), rtol=0.08)
    for row in range(2):
        for column in range(2):
            assert np.corrcoef(replicates[:, row, column], anew[:, row, column])[0, 1] > 0.95


@pytest.mark.parametrize("correlate", [clustered_pearson, clustered_spearman])
def test_what_does_not_vary_or_is_not_finite_has_no_correlation(correlate: object) -> None:
    x = np.stack([np.full(SAMPLES, 3.7), X[1]])
    y = np.stack([Y[0], np.where(np.arange(SAMPLES) == 5, np.nan, Y[1])])
    estimate, replicates = correlate(x, y, STARTS, WEIGHTS)  # type: ignore[operator]
    assert np.isnan(estimate).tolist() == [[True, False], [True, True]]
    assert np.isnan(replicates[:, 0, 0]).all()
    assert np.isfinite(replicates[:, 0, 1]).all()


@pytest.mark.parametrize("correlate", [clustered_pearson, clustered_spearman])
def test_a_resample_of_clusters_without_samples_says_nothing(correlate: object) -> None:
    weights = WEIGHTS.copy()
    weights[0] = 0
    _, replicates = correlate(X, Y, STARTS, weights)  # type: ignore[operator]
    assert np.isnan(replicates[0]).all()
    assert np.isfinite(replicates[1:]).all()
