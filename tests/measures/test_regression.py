"""The regression against numpy's least squares, its replicates against fitting drawn samples anew."""

from __future__ import annotations

import numpy as np
import pytest

from phasescope.measures import clustered_regression
from phasescope.measures.resampling import bootstrap_weights

DRAW = np.random.default_rng(0)
SIZES = DRAW.integers(3, 25, size=40)
STARTS = np.concatenate([[0], np.cumsum(SIZES)[:-1]])
SAMPLES = int(SIZES.sum())
X = DRAW.normal(size=(3, SAMPLES)) * [[1.0], [50.0], [0.01]] + 300
Y = np.stack([X[0] + 0.02 * X[1] + DRAW.normal(size=SAMPLES), DRAW.normal(size=SAMPLES) - 7])
TRAINING = DRAW.permutation(40) < 20
FITTED = np.repeat(TRAINING, SIZES)


def plain(rows: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients and R² of these samples, scaled as the training half is."""
    scaled = [(v - v[FITTED].mean()) / v[FITTED].std() for v in (*X, y)]
    design = np.stack([*scaled[:-1], np.ones(SAMPLES)], axis=1)
    solved = np.linalg.lstsq(design[rows], scaled[-1][rows], rcond=None)[0]
    errors = scaled[-1][rows] - design[rows] @ solved
    return solved[:3], 1 - errors @ errors / ((scaled[-1][rows] - scaled[-1][rows].mean()) ** 2).sum()


def test_coefficients_and_r2_are_those_of_least_squares() -> None:
    fit = clustered_regression(X, Y, STARTS, TRAINING, resamples=30, seed=0)
    rows = np.flatnonzero(FITTED)
    for place, y in enumerate(Y):
        coefficients, r2 = plain(rows, y)
        np.testing.assert_allclose(fit.coefficients[place], coefficients, atol=1e-10)
        assert fit.r2_training[place] == pytest.approx(r2, abs=1e-10)
    predicted = (X - X[:, FITTED].mean(1, keepdims=True)) / X[:, FITTED].std(1, keepdims=True)
    scaled = (Y[0] - Y[0][FITTED].mean()) / Y[0][FITTED].std()
    errors = (scaled - fit.coefficients[0] @ predicted)[~FITTED]
    rest = scaled[~FITTED]
    assert fit.r2_held_out[0] == pytest.approx(1 - errors @ errors / ((rest - rest.mean()) ** 2).sum(), abs=1e-10)
    assert fit.r2_held_out[1] < 0.1  # noise cannot be predicted


def test_replicates_are_fits_to_drawn_clusters() -> None:
    fit = clustered_regression(X, Y, STARTS, TRAINING, resamples=5, seed=3)
    weights = bootstrap_weights(20, 5, 3).numpy()
    clusters = np.flatnonzero(TRAINING)
    for resample, counts in enumerate(weights):
        drawn = np.repeat(clusters, counts)
        rows = np.concatenate([np.arange(STARTS[c], STARTS[c] + SIZES[c]) for c in drawn])
        coefficients, r2 = plain(rows, Y[0])
        np.testing.assert_allclose(fit.coefficient_replicates[resample, 0], coefficients, atol=1e-8)
        assert fit.r2_training_replicates[resample, 0] == pytest.approx(r2, abs=1e-8)


def test_predictors_that_depend_on_each_other_have_no_coefficients() -> None:
    fit = clustered_regression(np.stack([X[0], 2 * X[0] + 1]), Y, STARTS, TRAINING, resamples=5, seed=0)
    assert np.isnan(fit.coefficients).all()
    assert np.isnan(fit.r2_held_out).all()
    with pytest.raises(ValueError, match="others to be tested on"):
        clustered_regression(X, Y, STARTS, np.ones(40, dtype=bool), resamples=5, seed=0)
