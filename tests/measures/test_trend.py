"""Trends against scipy, curve by curve; planted classes; and how often noise is taken for a class."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import linregress

from phasescope.measures import NO_CLASS, TRAJECTORY_CLASSES, linear_trend, trajectory_classes

STEPS = np.array([1, 2, 4, 8, 16, 32, 64, 100, 150, 200, 300, 400, 512])  # as irregular as real grids are


def named(classes: torch.Tensor) -> list[str]:
    return ["" if place == NO_CLASS else TRAJECTORY_CLASSES[place] for place in classes.tolist()]


def nasty_curves() -> np.ndarray:
    """Random curves of many scales and offsets, with holes, ties, jumps and perfect lines."""
    generator = np.random.default_rng(0)
    curves = generator.normal(size=(60, len(STEPS)))
    curves[5:10] *= 1e-9
    curves[10:15] = 1e9 + curves[10:15]
    curves[15:20] = np.round(curves[15:20])  # duplicated values
    curves[20] = 3 * np.log(STEPS) - 7  # a perfect line
    curves[21] = -STEPS
    curves[22:40][generator.random((18, len(STEPS))) < 0.3] = np.nan
    curves[40, 4:] = np.inf
    curves[41:45] += 5 * np.log(STEPS)
    return curves


@pytest.mark.parametrize("x", [np.log(STEPS), STEPS, np.arange(len(STEPS)), np.log(STEPS) + 1e6])
def test_trends_are_those_of_scipy(x: np.ndarray) -> None:
    curves = nasty_curves()
    trend = linear_trend(curves, x)
    p_value, rises, falls = trend.p_value, trend.rises(), trend.falls()
    for i, curve in enumerate(curves):
        known = np.isfinite(curve)
        wanted = linregress(x[known], curve[known])
        # Offsets of 1e9 and 1e6 leave seven digits or more of the numbers themselves, in scipy too.
        assert float(trend.slope[i]) == pytest.approx(wanted.slope, rel=1e-6)
        assert float(trend.correlation[i]) == pytest.approx(wanted.rvalue, rel=1e-6, abs=1e-7)
        assert float(p_value[i]) == pytest.approx(wanted.pvalue, rel=1e-5, abs=1e-9)
        assert int(trend.count[i]) == known.sum()
        assert bool(rises[i]) == (wanted.slope > 0 and wanted.pvalue < 0.05)
        assert bool(falls[i]) == (wanted.slope < 0 and wanted.pvalue < 0.05)


def test_curves_without_a_trend_to_speak_of() -> None:
    nan = math.nan
    curves = torch.tensor([[0.1] * 4, [1e30] * 4, [nan] * 4, [1, nan, nan, nan], [1, nan, 2, nan], [1, 2, nan, 3]])
    trend = linear_trend(curves.double(), torch.arange(4))
    assert trend.count.tolist() == [4, 4, 0, 1, 2, 3]
    assert trend.slope[:2].tolist() == [0, 0]
    assert trend.correlation[:5].isnan().all()  # no spread, or too few points
    assert trend.p_value[:5].isnan().all()
    assert not (trend.rises() | trend.falls())[:5].any()
    wanted = linregress([0, 1, 3], [1, 2, 3])
    assert float(trend.p_value[5]) == pytest.approx(wanted.pvalue)
    assert linear_trend(torch.zeros(2, 0), torch.zeros(0)).slope.isnan().all()
    assert linear_trend(torch.rand(2, 3), torch.ones(3)).slope.isnan().all()  # all at the same step


def test_trends_of_other_shapes_and_wrong_ones() -> None:
    curves = torch.randn(2, 3, 9, dtype=torch.float64)
    trend = linear_trend(curves, torch.arange(9))
    for i, j in np.ndindex(2, 3):
        assert float(trend.slope[i, j]) == pytest.approx(float(linear_trend(curves[i, j], torch.arange(9)).slope))
    with pytest.raises(ValueError, match=r"\[2, 3, 9\] and \[8\]"):
        linear_trend(curves, torch.arange(8))
    with pytest.raises(ValueError, match="finite"):
        linear_trend(curves, torch.tensor([math.nan, *range(8)]))
    with pytest.raises(ValueError, match=r"\[3, 9\] and \[8\]"):
        trajectory_classes(curves[0], torch.arange(8))


def slow_class(surprisal: np.ndarray, x: np.ndarray) -> str:
    """One token, step by step, on perplexities themselves, with scipy."""

    def trend(points: slice | np.ndarray, alpha: float) -> int:
        y, here = np.exp(surprisal[points]), x[points]
        here, y = here[np.isfinite(y)], y[np.isfinite(y)]
        if len(y) < 3 or np.ptp(y) == 0:
            return 0
        fit = linregress(here, y)
        return int(np.sign(fit.slope)) if fit.pvalue < alpha else 0

    known = surprisal[np.isfinite(surprisal)]
    if len(known) < 3:
        return ""
    last = len(x) - 1
    turns = {turn for turn in (round(last / 4), round(last / 2), round(3 * last / 4)) if 2 <= turn <= last - 2}
    for turn in turns:
        alpha = 0.05 / len(turns)
        if trend(slice(0, turn + 1), alpha) == 1 and trend(slice(turn, None), alpha) == -1:
            return "double descent"
    whole = trend(slice(None), 0.05)
    if whole:
        return "increasing" if whole == 1 else "decreasing"
    perplexity = np.exp(known)
    mean = np.exp(known.mean())
    near = all(0.95 < mean / end < 1.05 for end in (perplexity[0], perplexity[-1]))
    return "stagnating" if near and perplexity.var() < mean else "fluctuating"


def test_classes_are_those_of_a_plain_computation() -> None:
    generator = np.random.default_rng(1)
    x = np.log(STEPS)
    along = np.linspace(-1, 1, len(STEPS))
    kinds = [0 * along, along, -along, 1 - along**2, generator.normal(size=len(STEPS))]
    surprisal = np.concatenate(
        [4 + size * kind + generator.normal(size=(40, len(STEPS))) * noise
         for kind in kinds for size in (0.1, 2) for noise in (0.003, 0.03, 0.5)]
    )  # fmt: skip
    surprisal[generator.random(surprisal.shape) < 0.05] = np.nan
    surprisal[::50, 2:] = np.inf
    found = named(trajectory_classes(surprisal, x))
    assert found == [slow_class(curve, x) for curve in surprisal]
    assert set(found) == {"", *TRAJECTORY_CLASSES}


def test_planted_classes_are_found() -> None:
    generator = np.random.default_rng(2)
    along = np.linspace(0, 1, 40)
    shapes = {
        "stagnating": np.zeros(40),
        "decreasing": -along,
        "increasing": along,
        "double descent": 1 - np.abs(2 * along - 0.8),  # turns at 40 %, which is no turning point that is tested
    }
    for name, shape in shapes.items():
        surprisal = 2 + shape + 0.02 * generator.normal(size=(200, 40))
        # Noise has a significant slope in 5 % of all cases, whatever it is made of.
        assert named(trajectory_classes(surprisal, np.arange(40))).count(name) > (180 if name == "stagnating" else 195)
    wild = 2 + generator.normal(size=(200, 40))
    assert named(trajectory_classes(wild, np.arange(40))).count("fluctuating") > 160


@pytest.mark.parametrize("checkpoints", [3, 4, 8, 40])
def test_noise_has_a_trend_in_one_case_of_twenty(checkpoints: int) -> None:
    noise = np.random.default_rng(checkpoints).normal(size=(40_000, checkpoints))
    surprisal = np.log(100 + noise)  # the errors of perplexity are what is normal
    found = named(trajectory_classes(surprisal, np.log(STEPS[:checkpoints]) if checkpoints < 9 else np.arange(40)))
    share = sum(name in ("increasing", "decreasing") for name in found) / len(found)
    assert share == pytest.approx(0.05, abs=0.004)  # standard error 0.0011, less what is called double descent
    assert found.count("double descent") / len(found) < 0.005


def test_a_rise_that_levels_off_is_hardly_ever_taken_for_a_double_descent() -> None:
    generator = np.random.default_rng(3)
    plateau = np.minimum(np.linspace(0, 3, 60), 1.0)
    surprisal = np.log(100 + 30 * plateau + generator.normal(size=(20_000, 60)))
    found = named(trajectory_classes(surprisal, np.arange(60)))
    assert found.count("double descent") / len(found) < 0.025  # one-sided half of 0.05


def test_constant_huge_and_missing_curves_have_the_class_that_they_should() -> None:
    curves = torch.full((8, 6), 3.3)
    curves[1] = 5000.0  # whose perplexity is no number
    curves[2] = torch.linspace(1e4, 0, 6)
    curves[3, 3:] = math.nan
    curves[4, 2:] = math.nan
    curves[5] = math.inf
    curves[6, ::2] = math.inf
    curves[7] = 0.0
    names = ["stagnating", "stagnating", "", "stagnating", "", "", "stagnating", "stagnating"]
    found = named(trajectory_classes(curves, torch.arange(6)))
    assert found[:2] + found[3:] == names[:2] + names[3:]
    assert found[2] == slow_class(np.linspace(300, 0, 6), np.arange(6))  # the highest perplexity is all there is
    for checkpoints in (0, 1, 2):
        assert named(trajectory_classes(curves[:, :checkpoints], torch.arange(checkpoints))) == [""] * 8
    assert len(trajectory_classes(curves[:0], torch.arange(6))) == 0
    assert trajectory_classes(curves, torch.arange(6)).dtype == torch.int8
