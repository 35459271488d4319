"""What the measures are checked against: the definitions written out in NumPy float64, without a thought for speed."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np

Matrix = np.ndarray[Any, np.dtype[np.float64]]


def biased_cka(x: Matrix, y: Matrix) -> float:
    """Kornblith et al. 2019, equations 2 and 3, with an explicit centring matrix."""
    n = len(x)
    centring = np.eye(n) - 1 / n
    K, L = centring @ x @ x.T @ centring, centring @ y @ y.T @ centring
    return float(np.trace(K @ L) / np.sqrt(np.trace(K @ K) * np.trace(L @ L)))


def song_hsic(K: Matrix, L: Matrix) -> float:
    """Song et al. 2012, equation 5, of Gram matrices that need not be centred."""
    n, one = len(K), np.ones(len(K))
    K, L = K - np.diag(np.diag(K)), L - np.diag(np.diag(L))
    independent = (one @ K @ one) * (one @ L @ one) / ((n - 1) * (n - 2))
    return float((np.trace(K @ L) + independent - 2 / (n - 2) * (one @ K @ L @ one)) / (n * (n - 3)))


def debiased_cka(x: Matrix, y: Matrix) -> float:
    K, L = x @ x.T, y @ y.T
    return song_hsic(K, L) / float(np.sqrt(song_hsic(K, K) * song_hsic(L, L)))


def u_statistic(K: Matrix, L: Matrix, drawn: list[int]) -> float:
    """The mean of Song's h over all ordered draws of four whose samples differ, one by one; NaN if there are none.

    `drawn` are the samples of the resample, with repetitions.
    """
    values = [
        K[i, j] * L[i, j] + K[i, j] * L[q, r] - 2 * K[i, j] * L[i, q]
        for i, j, q, r in permutations(drawn, 4)
        if len({i, j, q, r}) == 4
    ]
    return float(np.mean(values)) if values else float("nan")


def effective_rank(matrix: Matrix) -> float:
    """Roy & Vetterli 2007, definition 1."""
    values = np.linalg.svd(matrix, compute_uv=False)
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def log_softmax(logits: Matrix) -> Matrix:
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def kl(log_p: Matrix, log_q: Matrix) -> Matrix:
    """Σ p (ln p − ln q) over the last axis, for distributions without zeros."""
    return (np.exp(log_p) * (log_p - log_q)).sum(-1)
