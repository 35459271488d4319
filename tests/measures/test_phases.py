"""Phases against brute force, against what was planted, and against curves that have none.

The calibration of the docs is `benchmarks/phases.py` with more trials; the tests here allow for their few: of 100 null
curves at a true rate of 4 % more than 9 have a boundary in under 1 % of all draws (binomial), and so on.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from benchmarks.phases import (
    BOUNDARIES,
    GRIDS,
    NULLS,
    PYTHIA,
    SHAPES,
    WALKS,
    errors,
    false_findings,
    planted,
    recovery,
    rise,
)
from phasescope.measures import Phases, find_all_phases, find_phases
from phasescope.measures._segment_search import best_sets, refined
from phasescope.measures._segmented import bends_of, grid_of
from phasescope.measures.phases import label_of

WAVE = 0.01 * np.sin(np.arange(27.0))


def least_squares(x: np.ndarray, y: np.ndarray, bends: np.ndarray) -> float:
    """The sum of squares that a continuous piecewise-linear curve leaves, with numpy alone."""
    design = np.stack([np.ones_like(x), x, *(np.maximum(x - bend, 0) for bend in bends)], 1)
    return float(np.sum((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2))


@pytest.mark.parametrize("bends", [1, 2, 3])
def test_the_search_is_exact_at_checkpoints_and_at_least_as_good_between_them(bends: int) -> None:
    steps = GRIDS[12]
    grid = grid_of(tuple(steps))
    basis = grid.bases[0]  # independent errors: plain least squares
    for seed in range(3):
        y = np.random.default_rng(seed).standard_normal(len(steps))
        whitened = basis.error.whiten @ y
        products = (whitened @ basis.columns)[None]
        total = least_squares(grid.x, y, np.zeros(0))
        places = best_sets(basis, grid.sets, products)[bends - 1]
        brute = min(least_squares(grid.x, y, grid.x[list(s)]) for s in combinations(range(1, 11), bends))
        assert least_squares(grid.x, y, grid.x[places[0]]) == pytest.approx(brute, rel=1e-9)
        better, explained = refined(grid, np.zeros(1, dtype=int), products, places)
        at = np.interp(better[0], np.arange(len(steps)), grid.x)
        left = least_squares(grid.x, y, at)
        # Two ways to the same number in float64.
        assert total - explained[0] == pytest.approx(left, rel=1e-8)
        assert left <= brute * (1 + 1e-9)
        for bend in range(bends):
            # No other place of one bend alone, of 400 between its neighbours, is better by more than 0.1 %.
            edges = np.concatenate([[-1.0], better[0], [12.0]])
            # Every phase holds two checkpoints.
            low, high = max(np.ceil(edges[bend]) + 1, 1), min(np.floor(edges[bend + 2]) - 1, 10)
            for place in np.linspace(low, high, 400) if low <= high else []:
                moved = np.interp(np.where(np.arange(bends) == bend, place, better[0]), np.arange(12), grid.x)
                assert least_squares(grid.x, y, moved) >= left * (1 - 1e-3)


def test_changes_of_slope_are_those_of_least_squares() -> None:
    grid = grid_of(tuple(GRIDS[27]))
    basis, places = grid.bases[0], np.array([[4.3, 9.0, 17.75]])
    y = np.random.default_rng(0).standard_normal(27)
    changes = bends_of(basis.gram, (basis.error.whiten @ y @ basis.columns)[None], places)[0]
    bends = np.interp(places[0], np.arange(27), grid.x)
    design = np.stack([np.ones(27), grid.x, *(np.maximum(grid.x - bend, 0) for bend in bends)], 1)
    np.testing.assert_allclose(changes, np.linalg.lstsq(design, y, rcond=None)[0][2:], rtol=1e-8)


def test_whitened_errors_are_independent() -> None:
    """Of each kind: the covariance of the errors it is meant for becomes the identity (exact, in float64)."""
    grid = grid_of(tuple(GRIDS[12]))
    for basis in grid.bases:
        np.testing.assert_allclose(basis.error.whiten @ basis.error.unwhiten, np.eye(11), atol=1e-9)
        np.testing.assert_allclose(basis.error.whiten @ np.ones(12), 0, atol=1e-9)
    walk = next(basis.error for basis in grid.bases if basis.error.name == "random walk over checkpoints")
    drawn = errors("random walk", grid.x, 4000, np.random.default_rng(0)) @ walk.whiten.T
    np.testing.assert_allclose(np.cov(drawn.T), np.eye(11), atol=0.12)


@pytest.mark.parametrize("points", [12, 27, 154])
def test_phases_without_noise_are_found_exactly(points: int) -> None:
    truth = planted(GRIDS[points], BOUNDARIES[points], np.random.default_rng(3))
    found = find_phases(GRIDS[points], 7 + 1e-3 * truth.values, resamples=20)
    # Values are taken to be known to a millionth of their range.
    np.testing.assert_allclose(np.log1p([b.step for b in found.boundaries]), truth.x, atol=1e-3)
    np.testing.assert_allclose(found.fitted, 7 + 1e-3 * truth.values, atol=1e-8)
    assert found.phases[0].start == 0
    assert found.phases[-1].end == GRIDS[points][-1]


LONG = pytest.param(154, marks=pytest.mark.slow)


@pytest.mark.parametrize("kind", WALKS)
@pytest.mark.parametrize("shared", [0.0, 0.5, 0.8])
def test_random_walks_of_several_seeds_have_no_consensus(shared: float, kind: str) -> None:
    # Of 200 at a true rate of 4 % more than 15 have a boundary in under 1 % of all draws.
    assert false_findings(GRIDS[10], kind, trials=200, seed=6, seeds=6, shared=shared) <= 0.075


@pytest.mark.parametrize(("points", "kind"), [(12, "AR(1) 0.5"), (12, "independent"), (27, "AR(1) 0.8")])
def test_planted_boundaries_are_recovered_and_covered(points: int, kind: str) -> None:
    found = recovery(GRIDS[points], BOUNDARIES[points], kind, 0.01, trials=25, seed=5)
    assert found.all_near >= 0.88  # the truth is over 95 %: 3 or more of 25 fail then in 13 % of draws
    assert 0.86 <= found.covered <= 1


@pytest.mark.parametrize("points", [10, 20, 27])
@pytest.mark.parametrize("shape", SHAPES)
def test_jumps_and_sigmoids_are_recovered(points: int, shape: str) -> None:
    found = rise(GRIDS[points], shape, "independent", 0.005, trials=60, seed=5)
    assert found.found >= 0.9  # the truth is over 95 %: 7 or more of 60 fail then in 3 % of draws
    assert found.peaks >= 0.9


def test_a_jump_is_a_phase_between_two_checkpoints() -> None:
    """The edges of a step function are anywhere between the checkpoints around it."""
    steps = GRIDS[20]
    curve = (steps >= 64) + 0.005 * np.random.default_rng(0).standard_normal((4, len(steps)))
    for values in (curve[0], curve):
        found = find_phases(steps, values)
        assert [phase.label for phase in found.phases] == ["flat", "sharply rising", "flat"]
        begins, ends = found.boundaries
        assert begins.low <= 32 <= begins.high
        assert ends.low <= 64 <= ends.high
        assert (begins.high, ends.low) == (pytest.approx(64), pytest.approx(32))
        assert begins.low > 16
        assert ends.high < 128
        assert found.peak is not None
        assert found.peak.low >= 64


@pytest.mark.parametrize("seeds", [4, 10])
def test_a_peak_is_as_sure_as_seeds_agree(seeds: int) -> None:
    """A unigram's correlation: up within two checkpoints, then slowly down in all seeds; none peaks elsewhere."""
    steps = np.array([0, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10000, 20000, 40000, 100000, 400000.0])
    curve = np.array([-0.03, -0.03, 0.77, 0.98, *np.linspace(0.955, 0.63, 12)])
    values = curve + 0.004 * np.random.default_rng(seeds).standard_normal((seeds, len(steps)))
    assert set(values.argmax(1)) == {3}
    found = find_phases(steps, values)
    rising = [phase for phase in found.phases if phase.label.endswith("rising")]
    assert rising[0].start < 20
    assert rising[-1].end < 80
    assert found.phases[-1].label.endswith("falling")
    assert found.peak is not None
    assert (found.peak.step, found.peak.low, found.peak.high) == (40, 40, 40)


def test_seeds_that_agree_overrule_errors_that_they_contradict() -> None:
    """A path that one seed may have walked by chance, but that six have in common, is no error."""
    x = np.log1p(GRIDS[12])
    generator = np.random.default_rng(4)
    path = errors("random walk", x, 1, generator)
    seeds = path + 0.02 * np.ptp(path) * errors("independent", x, 6, generator)
    assert not find_phases(GRIDS[12], seeds[0], resamples=20).boundaries
    assert find_phases(GRIDS[12], seeds, resamples=20).boundaries
    # Copies of one seed are no more than one seed, but for the rounding of their mean.
    copies = np.repeat(seeds[:1], 6, 0)
    found, alone = (find_phases(GRIDS[12], values, resamples=20) for values in (copies, seeds[0]))
    assert [phase.label for phase in found.phases] == [phase.label for phase in alone.phases]
    assert found.peak == alone.peak
    np.testing.assert_allclose(found.fitted, alone.fitted, rtol=1e-12)


@pytest.mark.parametrize("points", [10, 12, 20, 27, LONG])
@pytest.mark.parametrize("kind", NULLS)
def test_false_findings_stay_under_5_percent(points: int, kind: str) -> None:
    # The standard error of 5 % in 400 trials is 1.1 %.
    assert false_findings(GRIDS[points], kind, trials=400, seed=8) <= 0.05 + 0.011


@pytest.mark.parametrize("points", [12, 27, LONG])
def test_recovery_and_coverage_at_length(points: int) -> None:
    found = recovery(GRIDS[points], BOUNDARIES[points], "AR(1) 0.5", 0.01, trials=200, seed=9)
    assert found.all_near >= 0.94
    assert 0.9 <= found.covered <= 0.99


def test_the_consensus_of_seeds_is_surer_than_one_seed() -> None:
    truth = planted(GRIDS[12], 2, np.random.default_rng(1))
    noise = errors("AR(1) 0.5", np.log1p(GRIDS[12]), 6, np.random.default_rng(2))
    seeds = truth.values + 0.03 * noise
    one, all_ = find_phases(GRIDS[12], seeds[0]), find_phases(GRIDS[12], seeds)
    assert len(all_.boundaries) == 2
    assert all_.criterion > one.criterion
    np.testing.assert_allclose(np.log1p([b.step for b in all_.boundaries]), truth.x, atol=0.35)


def test_the_same_for_the_same_seed_whatever_else_is_asked() -> None:
    curve = planted(GRIDS[27], 3, np.random.default_rng(0)).values
    first = find_phases(GRIDS[27], curve + WAVE, resamples=50)
    beside = find_all_phases([(PYTHIA[:20], np.arange(20.0)), (GRIDS[27], curve + WAVE)], resamples=50)
    assert beside[1] == first
    scaled = find_phases(GRIDS[27], 1e6 - 1e3 * (curve + WAVE), resamples=50)
    np.testing.assert_allclose([b.step for b in scaled.boundaries], [b.step for b in first.boundaries], rtol=1e-6)


def test_labels() -> None:
    pace = 0.1
    assert label_of(0.3, 0.2, 0.4, pace, 0.2) == "sharply rising"
    assert label_of(-0.3, -0.4, -0.2, pace, 0.2) == "sharply falling"
    assert label_of(0.1, 0.05, 0.2, pace, 0.2) == "slowly rising"
    assert label_of(-0.1, -0.2, -0.05, pace, 0.2) == "slowly falling"
    assert label_of(0.3, -0.1, 0.7, pace, 0.2) == "undetermined"  # it may rise by more than the curve's whole range
    assert label_of(0.01, -0.01, 0.03, pace, 0.2) == "flat"  # whatever its slope, by under a tenth of it
    assert label_of(0.01, -0.01, 0.03, pace, 0.8) == "undetermined"  # not so over most of the axis
    assert label_of(0.009, 0.008, 0.010, pace, 0.8) == "flat"  # significant, and next to nothing
    found = find_phases(GRIDS[12], np.interp(np.log1p(GRIDS[12]), [0, 3, 5, 7], [1, 1, 0, 0.8]), resamples=50)
    assert [phase.label for phase in found.phases] == ["flat", "sharply falling", "sharply rising"]


def test_a_slope_that_cannot_be_told_is_never_called_flat() -> None:
    walks = errors("random walk", np.log1p(GRIDS[12]), 40, np.random.default_rng(2))
    found = find_all_phases([(GRIDS[12], walk) for walk in walks], resamples=100)
    labels = [phase.label for phases in found for phase in phases.phases]
    assert "flat" not in labels
    assert labels.count("undetermined") > len(labels) / 2


def plain(found: Phases) -> list[tuple[float, float, str]]:
    return [(phase.start, phase.end, phase.label) for phase in found.phases]


def test_curves_that_are_hardly_curves() -> None:
    assert find_phases([], []) == Phases((), (), None)
    one = find_phases([4], [2.0])
    assert (one.phases, one.boundaries) == ((), ())
    assert one.peak is not None
    assert one.peak.step == 4
    two = find_phases([0, 10], [3.0, 1.0])
    assert plain(two) == [(0, 10, "undetermined")]
    assert two.phases[0].slope == pytest.approx(-2 / np.log(11))
    assert two.peak is not None
    assert two.peak.step == 0
    constant = find_phases(GRIDS[12], np.full(12, 1 / 3))
    assert plain(constant) == [(0, 1000, "flat")]
    assert constant.peak is not None
    assert (constant.peak.low, constant.peak.high) == (0, 1000)
    few = find_phases(GRIDS[12][:6], [0, 0, 0, 1, 1, 1.0], resamples=20)
    assert few.phases[0].start == 0


def test_gaps_are_left_out() -> None:
    truth = planted(GRIDS[27], 2, np.random.default_rng(0)).values
    holes = truth.copy()
    holes[[3, 11]] = np.nan
    known = np.isfinite(holes)
    assert find_phases(GRIDS[27], holes, resamples=20) == find_phases(GRIDS[27][known], truth[known], resamples=20)
    assert find_phases(GRIDS[27], np.stack([truth, holes]), resamples=20).points == 25
    assert find_phases(GRIDS[27], np.full(27, np.nan)).phases == ()


def test_wrong_shapes_and_steps_are_refused() -> None:
    for steps, values in (
        ([0, 1], [1.0]),
        ([0, 2, 1], [1.0, 2, 3]),
        ([0, 0, 1], [1.0, 2, 3]),
        ([-1, 0, 1], [1.0, 2, 3]),
    ):
        with pytest.raises(ValueError, match="steps must"):
            find_phases(np.array(steps, float), np.array(values))
