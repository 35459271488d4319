"""What the errors of a curve may be like: checkpoints of one training run are not independent.

Least squares takes every wave of an autocorrelated error for a change of trend. Here the likelihood of a trend is taken
under several kinds of error, the random walk among them, and the kind that explains most is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float64

# Of the error of one checkpoint with that of the next; 1 is a random walk.
_CORRELATIONS = (0.0, 0.3, 0.6, 0.8, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """One kind of error, and the transformation under which it becomes independent noise of one variance.

    Attributes:
        name: for readers.
        whiten: `[n − 1, n]`: what is left of a curve without its mean, made independent.
        unwhiten: `[n, n − 1]`: the way back, to a curve of mean 0.
        log_determinant: of the covariance of what is left of a curve without its mean and its linear trend, for errors
            of unit scale: what the restricted likelihood needs (Patterson & Thompson 1971).
        trend: `[n − 1]`: x, made independent likewise.
    """

    name: str
    whiten: Float64[np.ndarray, "left checkpoints"]
    unwhiten: Float64[np.ndarray, "checkpoints left"]
    log_determinant: float
    trend: Float64[np.ndarray, "left"]


def error_models(x: Float64[np.ndarray, "checkpoints"]) -> Iterator[ErrorModel]:
    """First-order autoregressions over checkpoints, from independent errors to the random walk, and one over x."""
    order = np.arange(len(x), dtype=np.float64)
    apart = np.abs(np.subtract.outer(order, order))
    for correlation in _CORRELATIONS[:-1]:
        name = f"autocorrelation {correlation:g}" if correlation else "independent errors"
        yield _model(name, correlation**apart / (1 - correlation**2), x)
    yield _model("random walk over checkpoints", np.minimum.outer(order, order), x)
    yield _model("random walk over log steps", np.minimum.outer(x - x[0], x - x[0]), x)


def _model(name: str, covariance: Float64[np.ndarray, "n n"], x: Float64[np.ndarray, "n"]) -> ErrorModel:
    # A random walk has no mean of its own, so that everything is seen without it.
    without_mean = np.linalg.qr(np.ones((len(x), 1)), mode="complete")[0][:, 1:]
    root = np.linalg.cholesky(without_mean.T @ covariance @ without_mean)
    whiten = np.linalg.solve(root, without_mean.T)
    trend = whiten @ x
    log_determinant = 2 * float(np.log(np.diag(root)).sum()) + float(np.log(trend @ trend))
    return ErrorModel(name, whiten, without_mean @ root, log_determinant, trend)
