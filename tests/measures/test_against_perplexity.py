from __future__ import annotations

import numpy as np
import pytest

from phasescope.measures import PerplexityCurve, curve_distances, shared_range


def curve(steps: list[float], log_perplexity: list[float], values: list[float]) -> PerplexityCurve:
    return PerplexityCurve(np.array(steps), np.array(log_perplexity), np.array(values))


def test_values_are_linear_in_log_perplexity_and_never_extrapolated() -> None:
    one = curve([0, 1, 3], [4.0, 3.0, 1.0], [10.0, 20.0, 40.0])
    assert one.range == (1.0, 4.0)
    np.testing.assert_allclose(one.at(np.array([4.0, 3.5, 2.0, 1.0])), [10, 15, 30, 40])
    assert np.isnan(one.at(np.array([0.999, 4.001, np.nan]))).all()
    np.testing.assert_allclose(one.step_at(np.array([4.0, 3.0, 2.0])), [0, 1, np.expm1((np.log(2) + np.log(4)) / 2)])
    np.testing.assert_allclose(one.at_step(np.array([0.0, 1.0, 3.0])), [10, 20, 40])
    assert np.isnan(one.at_step(np.array([4.0]))).all()


def test_only_new_lows_have_a_place_on_the_perplexity_axis() -> None:
    up_again = curve(list(range(7)), [5, 5.2, 4, 4, 4.5, 2, 3], [1, 99, 2, 99, 99, 3, 99])
    assert up_again.falling.tolist() == [0, 2, 5]
    np.testing.assert_allclose(up_again.at(np.array([5, 4.5, 4, 3, 2])), [1, 1.5, 2, 2.5, 3])
    assert up_again.at_step(np.array([6.0])) == 99  # the step axis has all


def test_what_is_not_finite_does_not_count() -> None:
    holes = curve([0, 1, 2, 3, 4], [np.inf, 4, np.nan, 3, 2], [0, 1, 5, np.nan, 2])
    assert holes.range == (2.0, 4.0)
    assert float(holes.at(np.array([3.0]))[0]) == 1.5
    for nothing in (curve([], [], []), curve([1, 2], [np.nan, 3], [1, np.nan])):
        assert np.isnan(nothing.range).all()
        assert np.isnan(nothing.at(np.array([3.0]))).all()
        assert np.isnan(nothing.at_step(np.array([1.0]))).all()
        assert shared_range([nothing, holes]) is None
        assert np.isnan(curve_distances(nothing, holes)).all()


def test_curves_that_are_one_function_of_perplexity_line_up_there_and_not_in_steps() -> None:
    steps = np.geomspace(1, 1000, 200)
    slow, fast = 8 - 0.5 * np.log(steps), 8 - 0.9 * np.log(steps)
    a, b = (PerplexityCurve(steps, log, np.sin(log)) for log in (slow, fast))
    against_perplexity, against_steps = curve_distances(a, b)
    assert against_perplexity < 1e-3  # interpolation between 200 checkpoints
    low, high = shared_range([a, b]) or (0.0, 0.0)
    places = np.linspace(low, high, 32)
    # By hand: at the step where the slow one has this perplexity the fast one has 8 − 0.9 / 0.5 × (8 − this).
    others = [8 - 0.9 / 0.5 * (8 - places), 8 - 0.5 / 0.9 * (8 - places)]
    inside = [(other >= 8 - rate * np.log(1000)) for other, rate in zip(others, (0.9, 0.5), strict=True)]
    wanted = np.concatenate([np.abs(np.sin(places) - np.sin(o))[k] for o, k in zip(others, inside, strict=True)]).mean()
    assert against_steps == pytest.approx(wanted, rel=2e-3)  # log(1 + step) is not quite log(step)


def test_curves_that_are_one_function_of_steps_line_up_there_and_not_in_perplexity() -> None:
    steps = np.arange(0, 100)
    a, b = (PerplexityCurve(steps, 8 - rate * np.log1p(steps), np.log1p(steps)) for rate in (0.5, 0.9))
    against_perplexity, against_steps = curve_distances(a, b)
    assert against_steps < 1e-9
    assert against_perplexity > 0.5
    assert curve_distances(a, b) == curve_distances(b, a)
    assert curve_distances(a, a) == pytest.approx((0, 0), abs=1e-12)


def test_perplexities_that_do_not_overlap_have_no_distance() -> None:
    a, b = curve([0, 1], [5.0, 4.0], [0, 1]), curve([0, 1], [4.0, 3.0], [0, 1])
    assert shared_range([a, b]) is None  # one point in common is no range
    assert np.isnan(curve_distances(a, b)).all()
