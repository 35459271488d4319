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


def cca(x: Matrix, y: Matrix) -> Matrix:
    """Hotelling 1936: the square roots of the eigenvalues of Sxx⁻¹ Sxy Syy⁻¹ Syx, with pseudo-inverses."""
    x, y = x - x.mean(0), y - y.mean(0)
    pinv = [np.linalg.pinv(side.T @ side, rcond=1e-12, hermitian=True) for side in (x, y)]
    values = np.linalg.eigvals(pinv[0] @ x.T @ y @ pinv[1] @ y.T @ x).real
    rank = min(np.linalg.matrix_rank(x), np.linalg.matrix_rank(y))
    return np.sqrt(np.clip(np.sort(values)[::-1][:rank], 0, 1))


def pwcca(x: Matrix, y: Matrix) -> float:
    """Morcos et al. 2018: eigenvectors of the product of the projections onto both column spaces as variates."""
    x, y = x - x.mean(0), y - y.mean(0)
    onto = [side @ np.linalg.pinv(side) for side in (x, y)]
    rank = min(np.linalg.matrix_rank(x), np.linalg.matrix_rank(y))
    values, variates = np.linalg.eigh(onto[0] @ onto[1] @ onto[0])
    values, variates = values[::-1][:rank], variates[:, ::-1][:, :rank]
    weights = np.abs(variates.T @ x).sum(1)
    return float((weights * np.sqrt(np.clip(values, 0, 1))).sum() / weights.sum())
