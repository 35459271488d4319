"""Shares of a net change against sums by hand, resampling, and planted ones."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasescope.measures import common_error, mean_over_seeds, phase_shares
from tests.measures.planted import GRIDS, linked, read

STEPS = [0, 1, 3, 7, 15]
PHASES = [(0, 1), (1, 7), (7, 15)]
STILL = np.zeros((3, 5))


def test_shares_are_differences_by_hand() -> None:
    cka = np.array([0.2, 0.3, 0.25, 0.8, 1.0])
    found = phase_shares(STEPS, cka, STILL, PHASES)
    np.testing.assert_allclose(found.shares, [0.125, 0.625, 0.25], rtol=1e-12)
    assert found.change == pytest.approx(0.8)
    assert found.shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(found.deviations, 0)


def test_a_phase_of_moving_away_is_negative_and_others_make_up_for_it() -> None:
    found = phase_shares(STEPS, np.array([0.5, 0.2, 0.2, 1.2, 1.0]), STILL, PHASES)
    np.testing.assert_allclose(found.shares, [-0.6, 2.0, -0.4], rtol=1e-12)


def test_edges_between_checkpoints_are_read_off_a_straight_line_in_log_steps() -> None:
    cka = np.array([0.0, 0.2, 0.4, 0.6, 1.0])
    middle = math.expm1((math.log(4) + math.log(8)) / 2)
    found = phase_shares(STEPS, cka, STILL, [(0, middle), (middle, 15)])
    np.testing.assert_allclose(found.shares, [0.5, 0.5], rtol=1e-12)
    beyond = phase_shares(STEPS, cka, STILL, [(-0.5, 15), (15, 31), (7, 100)])
    assert beyond.shares[0] == pytest.approx(1)
    assert math.isnan(beyond.shares[1])
    assert beyond.shares[2] == pytest.approx(0.4)


def test_errors_are_those_of_resampled_curves() -> None:
    """Of errors that neighbouring checkpoints share; to first order in errors of 0.01 of a change of 0.8: 2 %."""
    cka, size = np.array([0.2, 0.3, 0.5, 0.8, 1.0]), np.array([0.01, 0.02, 0.01, 0.02, 0.0])
    covariance = np.outer(size, size) * 0.8 ** np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    deviations = np.random.default_rng(0).multivariate_normal(np.zeros(5), covariance, 20_000)
    drawn = cka + deviations
    weights = np.array([[-1, 1, 0, 0, 0], [0, -1, 0, 1, 0], [0, 0, 0, -1, 1]])
    expected = (drawn @ weights.T) / (drawn[:, -1] - drawn[:, 0])[:, None]
    found = phase_shares(STEPS, cka, deviations, PHASES).deviations
    np.testing.assert_allclose(found.std(0), expected.std(0), rtol=0.02)
    np.testing.assert_allclose(common_error(found[None]), expected.std(0), rtol=0.02)


def test_the_common_error_is_what_seeds_share() -> None:
    """20 000 resamples tell a covariance of 0.04 beside variances of 0.13 to about 1 %."""
    generator = np.random.default_rng(0)
    common, own = 0.2 * generator.standard_normal((1, 20_000)), 0.3 * generator.standard_normal((4, 20_000))
    assert common_error(common + own) == pytest.approx(0.2, rel=0.03)
    assert common_error((common + own)[:1]) == pytest.approx(math.hypot(0.2, 0.3), rel=0.03)
    pairs = np.cov(common + own)
    assert common_error(common + own) ** 2 == pytest.approx(pairs[np.triu_indices(4, 1)].mean(), rel=1e-9)
    assert common_error(np.array([[1.0, -1.0], [-1.0, 1.0]])) == 0  # seeds that err against each other share nothing
    assert np.isnan(common_error(np.zeros((3, 1, 2)))).all()


def test_a_layer_that_hardly_moves_or_has_no_cka_has_no_shares() -> None:
    still = phase_shares(STEPS, np.array([0.97, 0.9, 0.98, 0.99, 1.0]), STILL, PHASES)
    assert np.isnan(still.shares).all()
    assert "hardly moves: its CKA to the final state is 0.97" in still.reason
    first = np.array([[0.2, 0, 0, 0, 0], [-0.2, 0, 0, 0, 0]])
    unsure = phase_shares(STEPS, np.array([0.8, 0.9, 0.9, 0.9, 1.0]), first, PHASES)
    assert "hardly moves" in unsure.reason
    nothing = phase_shares(STEPS, np.full(5, math.nan), STILL, PHASES)
    assert nothing.reason == "it has no CKA at two checkpoints"
    gap = phase_shares(STEPS, np.array([0.0, math.nan, 0.4, math.nan, 1.0]), np.full((3, 5), math.nan), [(0, 15)])
    assert gap.shares[0] == pytest.approx(1)
    with pytest.raises(ValueError, match="belong together"):
        phase_shares(STEPS, np.ones(4), np.ones((2, 4)), PHASES)
    with pytest.raises(ValueError, match="ascend"):
        phase_shares([0, 2, 1, 3, 4], np.arange(5.0), STILL, PHASES)


@pytest.mark.parametrize(("count", "seeds", "alike"), [(12, 3, 0.2), (27, 5, 0.8), (154, 9, 0.8)])
def test_intervals_cover_the_planted_share_and_not_always(count: int, seeds: int, alike: float) -> None:
    """In 120 trials; at 95 % fewer than 105 would be rare (0.1 %). The truth is the mean of 2 000 seeds."""
    steps = GRIDS[count]
    phases = [(0, 30), (30, steps[-1])]
    truth, _ = linked(steps, 2_000, 0.3, 0.0, np.random.default_rng(9))
    edge = np.interp(math.log(31), np.log1p(steps), np.arange(len(steps)))
    left = int(edge)
    at_edge = truth[:, left] + (edge - left) * (truth[:, left + 1] - truth[:, left])
    planted = ((at_edge - truth[:, 0]) / (1 - truth[:, 0])).mean()
    inside = 0
    for trial in range(120):
        generator = np.random.default_rng([trial, seeds, count])
        seen, moved = read(linked(steps, seeds, 0.3, 0.02, generator)[0], steps, alike, generator)
        each = [phase_shares(steps, row, own, phases) for row, own in zip(seen, moved, strict=True)]
        texts = common_error(np.stack([one.deviations for one in each]))
        _, low, high = mean_over_seeds(np.stack([one.shares for one in each]), common=texts)
        inside += low[0] <= planted <= high[0]
    assert 105 <= inside < 120


def test_the_mean_over_seeds_is_students() -> None:
    from scipy.stats import t

    values = np.array([[1.0, 2.0], [3.0, math.nan], [4.0, 2.5], [2.0, math.nan]])
    mean, low, high = mean_over_seeds(values)
    expected = t.interval(0.95, 3, loc=2.5, scale=np.std(values[:, 0], ddof=1) / 2)
    np.testing.assert_allclose([low[0], high[0]], expected, rtol=1e-12)
    assert mean[1] == pytest.approx(2.25)
    one = mean_over_seeds(np.array([[3.0], [math.nan]]))
    assert one[0] == 3
    assert np.isnan(one[1])
    texts = mean_over_seeds(np.array([[3.0]]), common=np.array([0.5]))
    np.testing.assert_allclose([texts[1][0], texts[2][0]], [3 - 0.5 * 1.959964, 3 + 0.5 * 1.959964], rtol=1e-6)
    assert np.isnan(mean_over_seeds(np.full((3, 1), math.nan))[0])
