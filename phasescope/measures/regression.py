"""Linear regression of many variables on the same few predictors, with its bootstrap over clusters of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int


@dataclass(frozen=True, eq=False)
class Fit:
    """Coefficients and R², each with its value in every resample."""

    coefficients: Float64[np.ndarray, "b a"]
    coefficient_replicates: Float64[np.ndarray, "resamples b a"]
    r2_training: Float64[np.ndarray, "b"]
    r2_training_replicates: Float64[np.ndarray, "resamples b"]
    r2_held_out: Float64[np.ndarray, "b"]
    r2_held_out_replicates: Float64[np.ndarray, "resamples b"]


def clustered_regression(
    x: Float64[np.ndarray, "a samples"],
    y: Float64[np.ndarray, "b samples"],
    starts: Int[np.ndarray, "clusters"],
    training: Bool[np.ndarray, "clusters"],
    *,
    resamples: int,
    seed: int,
) -> Fit:
    """Ordinary least squares of every row of y on all rows of x, all z-scored, fitted to the training clusters.

    Training replicates are fitted anew to clusters drawn from the training ones. Replicates of R² on held-out clusters
    keep the fit and draw from the held-out ones: how sure is the quality of this prediction.

    Args:
        starts: where each cluster of samples begins.
        training: the clusters to fit to; all others are held out.
        resamples, seed: of both bootstraps.

    Returns:
        Coefficients in standard deviations of y per standard deviation of x (those of the training samples). R² is
        1 - the sum of squared errors / that around the mean of the same samples. NaN where predictors depend on each
        other, or y has no variance.

    Raises:
        ValueError: a half has no cluster.
    """
    from phasescope.measures.resampling import bootstrap_weights

    if training.all() or not training.any():
        raise ValueError("a regression needs clusters to fit to and others to be tested on")
    sizes = np.diff(np.append(starts, x.shape[1]))
    fitted = np.repeat(training, sizes)
    design = np.concatenate([_standardised(x, fitted), np.ones((1, x.shape[1]))])
    sums = _Sums.of(design, _standardised(y, fitted), starts)
    held_out = ~training
    halves = [
        bootstrap_weights(int(half.sum()), resamples, seed + place).numpy().astype(np.float64)
        for place, half in enumerate((training, held_out))
    ]
    ones = [np.ones((1, weights.shape[1])) for weights in halves]
    all_training, drawn_training = (sums.drawn(training, weights) for weights in (ones[0], halves[0]))
    coefficients, replicates = all_training.solve(), drawn_training.solve()
    return Fit(
        coefficients[0, :, :-1],
        replicates[:, :, :-1],
        all_training.r2(coefficients)[0],
        drawn_training.r2(replicates),
        sums.drawn(held_out, ones[1]).r2(coefficients)[0],
        sums.drawn(held_out, halves[1]).r2(coefficients),
    )


@dataclass(frozen=True, eq=False)
class _Sums:
    """Products of the design (intercept last) with itself, with y, and of y with itself, per cluster or resample."""

    design: Float64[np.ndarray, "clusters a+1 a+1"]
    cross: Float64[np.ndarray, "clusters b a+1"]
    squares: Float64[np.ndarray, "clusters b"]

    @classmethod
    def of(
        cls,
        design: Float64[np.ndarray, "a+1 samples"],
        y: Float64[np.ndarray, "b samples"],
        starts: Int[np.ndarray, "clusters"],
    ) -> _Sums:
        parts = list(zip(starts, np.append(starts[1:], design.shape[1]), strict=True))
        return cls(
            np.stack([design[:, i:j] @ design[:, i:j].T for i, j in parts]),
            np.stack([y[:, i:j] @ design[:, i:j].T for i, j in parts]),
            np.stack([(y[:, i:j] ** 2).sum(1) for i, j in parts]),
        )

    def drawn(self, half: Bool[np.ndarray, "clusters"], weights: Float64[np.ndarray, "resamples half"]) -> _Sums:
        """The sums over what each resample draws from one half of the clusters."""
        design, cross, squares = (values[half] for values in (self.design, self.cross, self.squares))
        resamples = len(weights)
        return _Sums(
            (weights @ design.reshape(len(design), -1)).reshape(resamples, *design.shape[1:]),
            (weights @ cross.reshape(len(cross), -1)).reshape(resamples, *cross.shape[1:]),
            weights @ squares,
        )

    def solve(self) -> Float64[np.ndarray, "resamples b a+1"]:
        whole = np.linalg.matrix_rank(self.design) == self.design.shape[1]
        solved = np.full(self.cross.shape, np.nan)
        solved[whole] = np.linalg.solve(self.design[whole], self.cross[whole].transpose(0, 2, 1)).transpose(0, 2, 1)
        return solved

    def r2(self, coefficients: Float64[np.ndarray, "#resamples b a+1"]) -> Float64[np.ndarray, "resamples b"]:
        # c · (2 Xᵀy - XᵀX c), the squared error that the prediction saves.
        explained = (coefficients * (2 * self.cross - coefficients @ self.design)).sum(-1)
        errors = self.squares - explained
        samples = self.design[:, -1, -1]
        around_mean = self.squares - self.cross[:, :, -1] ** 2 / samples[:, None]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(around_mean > 1e-12 * samples[:, None], 1 - errors / around_mean, np.nan)


def _standardised(
    values: Float64[np.ndarray, "rows samples"], fitted: Bool[np.ndarray, "samples"]
) -> Float64[np.ndarray, "rows samples"]:
    """Less the mean of the fitted samples, divided by their standard deviation; 0 where they are constant."""
    mean, deviation = values[:, fitted].mean(1, keepdims=True), values[:, fitted].std(1, keepdims=True)
    scaled: Float64[np.ndarray, "rows samples"] = (values - mean) / np.where(deviation > 1e-12, deviation, np.inf)
    return scaled
