"""Chains of draws: against formulas written out, and nasty input."""

from __future__ import annotations

import numpy as np
import pytest

from phasescope.measures import lag_one, mean_of_chains, split_r_hat


def r_hat_by_hand(chains: np.ndarray) -> float:
    half = chains.shape[1] // 2
    parts = [part for chain in chains for part in (chain[:half], chain[-half:])]
    within = sum(sum((x - part.mean()) ** 2 for x in part) / (half - 1) for part in parts) / len(parts)
    means = [part.mean() for part in parts]
    between = half * sum((mean - np.mean(means)) ** 2 for mean in means) / (len(means) - 1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


@pytest.mark.parametrize("draws", [4, 9, 40])
def test_r_hat(draws: int) -> None:
    chains = np.random.default_rng(draws).normal(size=(3, draws))
    assert split_r_hat(chains) == pytest.approx(r_hat_by_hand(chains), rel=1e-12)
    assert split_r_hat(chains + 1e6) == pytest.approx(r_hat_by_hand(chains), rel=1e-6)
    drifting = chains + np.linspace(0, 20, draws)
    assert split_r_hat(drifting) > 1.5


def test_lag_one() -> None:
    values = np.array([[1.0, 2.0, 4.0, 3.0]])
    centred = values[0] - 2.5
    assert lag_one(values) == pytest.approx((centred[1:] * centred[:-1]).sum() / (centred**2).sum())
    assert lag_one(np.cumsum(np.random.default_rng(0).normal(size=(2, 500)), axis=1)) > 0.9


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """400 draws of four chains: 95 %, give or take three standard errors (3.3 %)."""
    drawn = np.random.default_rng(0).normal(3.0, 2.0, size=(400, 4))
    held = [low <= 3.0 <= high for _, low, high in map(mean_of_chains, drawn)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.033)


def test_nasty_chains() -> None:
    assert np.isnan(split_r_hat(np.ones((2, 10))))
    # 0.1 ten times has a mean that is not 0.1, and so a variance.
    assert np.isnan(split_r_hat(np.full((3, 12), 0.1)))
    assert split_r_hat(np.array([[0.1] * 12, [0.7] * 12])) == np.inf
    assert split_r_hat(np.array([[0.1] * 6 + [0.7] * 6])) == np.inf
    assert np.isnan(split_r_hat(np.zeros((0, 10))))
    assert np.isnan(split_r_hat(np.zeros((2, 3))))
    assert np.isnan(split_r_hat(np.array([[1.0, 2.0, np.nan, 3.0]])))
    assert np.isnan(lag_one(np.ones((2, 10))))
    assert np.isnan(lag_one(np.zeros((0, 4))))
    assert np.isnan(mean_of_chains(np.zeros(0))).all()
    assert np.isnan(mean_of_chains(np.ones(1))).tolist() == [False, True, True]
