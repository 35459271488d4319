"""Lags against planted ones, and the test of significance against enumeration and against data without a link."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest
from scipy.interpolate import CubicHermiteSpline

from phasescope.measures import best_lag, speed_grid
from phasescope.measures._lag_resampling import drawn_correlations
from tests.measures.planted import GRIDS, linked, trends, walks

LAG = 0.6


def of(curves: np.ndarray):
    return lambda seeds: curves[list(seeds)]


@pytest.mark.parametrize("count", GRIDS)
def test_speeds_are_slopes(count: int) -> None:
    """A parabola in ln(1 + step) has a known slope, and Hermite pieces with parabolic slopes are exact on it."""
    steps = GRIDS[count]
    grid = speed_grid(steps)
    places = np.log1p(np.array(steps, float))
    # Not at the ends, where the window is cut off and its middle is another.
    inner = slice(1, -1)
    speeds = grid.smooth @ (3 * places**2 - places)
    np.testing.assert_allclose(speeds[inner], (6 * grid.places - 1)[inner], rtol=1e-8)
    np.testing.assert_allclose((grid.straight @ places)[inner], 1, rtol=1e-10)
    np.testing.assert_allclose(grid.smooth @ np.ones(len(steps)), 0, atol=1e-9)


def test_speeds_are_those_of_a_curve_integrated_numerically() -> None:
    steps = GRIDS[27]
    values = np.random.default_rng(0).standard_normal(len(steps)).cumsum()
    places = np.log1p(np.array(steps, float))
    grid = speed_grid(steps)
    curve = CubicHermiteSpline(places, values, np.gradient(values, places, edge_order=2))

    def average(centre: float) -> float:
        left, right = (np.clip(centre + side * math.log(2) / 4, places[0], places[-1]) for side in (-1, 1))
        return float(np.mean(curve(left + (np.arange(20000) + 0.5) / 20000 * (right - left))))

    for number in (0, 5, len(grid.places) - 1):
        here = grid.places[number]
        expected = (average(here + math.log(2) / 2) - average(here - math.log(2) / 2)) / math.log(2)
        assert grid.smooth[number] @ values == pytest.approx(expected, rel=1e-6)


def test_a_grid_begins_after_gaps_in_which_anything_may_have_happened() -> None:
    steps = [0, *range(1000, 143001, 1000)]
    grid = speed_grid(steps)
    assert (grid.smooth[:, 0] == 0).all()
    assert grid.places[0] > math.log(1001)
    assert speed_grid(steps[:9]) is None
    assert speed_grid(list(range(1000, 1020))) is None  # twenty checkpoints, hardly any training
    with pytest.raises(ValueError, match="ascend"):
        speed_grid([0, 2, 1, *range(3, 20)])


@pytest.mark.parametrize("count", GRIDS)
def test_a_shift_is_found_exactly_where_nothing_hides_it(count: int) -> None:
    """Smooth curves without noise; what is left is what the gaps between checkpoints leave open."""
    cka, surprisal = linked(GRIDS[count], 5, LAG, 0.0, np.random.default_rng(1))
    found = best_lag(cka, of(surprisal), speed_grid(GRIDS[count]))
    assert found.lag == pytest.approx(LAG, abs=0.05)
    assert found.correlation < -0.95  # surprisal falls where CKA rises
    assert found.p == pytest.approx(1 / 120)
    assert not found.at_edge
    # Who comes first changes places with the sign.
    assert best_lag(surprisal, of(cka), speed_grid(GRIDS[count])).lag == pytest.approx(-found.lag, abs=1e-9)


def test_significance_is_the_share_of_all_exchanges_of_seeds() -> None:
    """Against every exchange computed from the start: other curves for each, not other products."""
    cka, surprisal = linked(GRIDS[12], 5, LAG, 0.1, np.random.default_rng(3), link=False)
    grid = speed_grid(GRIDS[12])

    def highest(order: tuple[int, ...]) -> float:
        x, y = cka @ grid.smooth.T, surprisal[list(order)] @ grid.smooth.T
        places, longest = x.shape[1], grid.longest
        pairs = [(x[:, max(k, 0) : places + min(k, 0)], y[:, max(-k, 0) : places - max(k, 0)])
                 for k in range(-longest, longest + 1)]  # fmt: skip
        return max(abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) for a, b in pairs)

    true = highest((0, 1, 2, 3, 4))
    share = np.mean([highest(order) >= true - 1e-12 for order in permutations(range(5))])
    assert best_lag(cka, of(surprisal), grid).p == pytest.approx(share)


def test_correlations_of_drawn_seeds_are_those_of_their_curves() -> None:
    """Against numpy on curves that are laid one after another as often as drawn (float64 sums: 1e-9)."""
    generator = np.random.default_rng(0)
    first, second = 1e3 + generator.standard_normal((2, 4, 12))
    counts = np.array([[1, 1, 1, 1], [0, 3, 0, 1], [4, 0, 0, 0]])
    found = drawn_correlations(first, second, 3, counts)
    for row, shift in enumerate(range(-3, 4)):
        for column, drawn in enumerate(counts):
            x, y = (np.repeat(part, drawn, 0) for part in (first, second))
            x, y = x[:, max(shift, 0) : 12 + min(shift, 0)], y[:, max(-shift, 0) : 12 - max(shift, 0)]
            assert found[row, column] == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=1e-9)
    assert np.isnan(drawn_correlations(np.ones((2, 12)), second[:2], 3, np.ones((1, 2), int))).all()


def test_what_cannot_be_said_is_not_a_number() -> None:
    grid, generator = speed_grid(GRIDS[12]), np.random.default_rng(0)
    cka, surprisal = linked(GRIDS[12], 5, LAG, 0.02, generator)
    constant = best_lag(np.full_like(cka, 0.7), of(surprisal), grid)
    assert math.isnan(constant.lag)
    assert math.isnan(constant.p)
    one = best_lag(cka[:1], of(surprisal[:1]), grid)
    assert math.isfinite(one.lag)
    assert math.isnan(one.low)
    assert math.isnan(one.p)
    four = best_lag(cka[:4], of(surprisal[:4]), grid)
    assert math.isfinite(four.low)
    assert math.isnan(four.p)  # 24 exchanges are too few


@pytest.mark.parametrize(("count", "noise"), [(12, 0.02), (12, 0.05), (27, 0.02), (154, 0.02)])
def test_intervals_cover_the_planted_lag(count: int, noise: float) -> None:
    """In 60 trials of 5 seeds; benchmarks/link.py has more. Fewer than 50 of 60 would be rare (< 0.1 %) at 95 %.

    Where the longest lag fits best there is no interval (`link_lags`), so those do not count.
    """
    grid = speed_grid(GRIDS[count])
    outside = significant = 0
    for trial in range(60):
        cka, surprisal = linked(GRIDS[count], 5, LAG, noise, np.random.default_rng([trial, count]))
        found = best_lag(cka, of(surprisal), grid)
        outside += not (found.at_edge or found.low <= LAG <= found.high)
        significant += found.p <= 0.05
    assert outside <= 10
    assert significant >= (55 if noise < 0.05 else 20)


@pytest.mark.parametrize("kind", ["walks", "trends", "timing"])
def test_curves_without_a_link_are_significant_by_chance_alone(kind: str) -> None:
    """Trends in both, random walks, and transitions whose times have nothing to do with each other: p is uniform.

    At 5 % more than 12 of 100 trials have a chance of 0.2 %.
    """
    steps = GRIDS[12]
    grid = speed_grid(steps)
    found = 0
    for trial in range(100):
        generator = np.random.default_rng([trial, 7])
        if kind == "walks":
            cka, surprisal = walks(steps, 5, generator)
        elif kind == "trends":
            cka, surprisal = trends(steps, 5, 0.02, generator)
        else:
            cka, surprisal = linked(steps, 5, LAG, 0.02, generator, link=False)
        found += best_lag(cka, of(surprisal), grid).p <= 0.05
    assert found <= 12
