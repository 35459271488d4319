"""The mixed model against data made by one, and against least squares where seeds and layers have no offsets."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from phasescope.measures import mixed_fit


def made(
    generator: np.random.Generator, seeds: int, layers: int, slope: float, offsets: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, list[str], list[str]]:
    """Outcome, predictor (mostly a property of the layer), seed and layer of each observation."""
    of_layer, of_seed = offsets[0] * generator.standard_normal(layers), offsets[1] * generator.standard_normal(seeds)
    predictor = generator.standard_normal(layers) + 0.3 * generator.standard_normal((seeds, layers))
    noise = 0.3 * generator.standard_normal((seeds, layers))
    outcome = slope * predictor + of_layer + of_seed[:, None] + noise
    pairs = [(f"s{seed}", f"l{layer}") for seed in range(seeds) for layer in range(layers)]
    return outcome.ravel(), predictor.reshape(1, -1), [s for s, _ in pairs], [layer for _, layer in pairs]


def test_a_slope_is_found_per_standard_deviation() -> None:
    outcome, predictor, seeds, layers = made(np.random.default_rng(0), 9, 12, 2.0, (0.5, 0.5))
    fit = mixed_fit(outcome, predictor, seeds, layers)
    assert fit.reason == ""
    assert fit.coefficients[0] / predictor.std() == pytest.approx(2.0, abs=0.25)
    assert fit.low[0] < 2.0 * predictor.std() < fit.high[0]
    assert fit.p[0] < 0.001


def test_without_offsets_it_is_least_squares() -> None:
    generator = np.random.default_rng(4)
    predictor = generator.standard_normal((1, 60))
    outcome = predictor[0] + generator.standard_normal(60)
    # Residuals that have no offsets at all: whatever a seed or a layer has in common is taken away.
    seeds, layers = [f"s{i // 10}" for i in range(60)], [f"l{i % 10}" for i in range(60)]
    table = (outcome - predictor[0]).reshape(6, 10)
    table = table - table.mean(0) - table.mean(1, keepdims=True) + table.mean()
    outcome = predictor[0] + table.ravel()
    fit = mixed_fit(outcome, predictor, seeds, layers)
    plain = linregress(predictor[0] / predictor.std(), outcome)
    assert fit.reason == ""
    assert fit.coefficients[0] == pytest.approx(plain.slope, rel=1e-6)


def test_slopes_of_nothing_are_rarely_found_and_planted_ones_covered() -> None:
    """40 trials each of 5 seeds and 12 layers; more than 6 found or below 33 covered are rare (0.3 %, 0.1 %)."""
    found = covered = fitted = 0
    for trial in range(40):
        generator = np.random.default_rng(trial)
        fit = mixed_fit(*made(generator, 5, 12, 0.0, (0.5, 0.3)))
        fitted += not fit.reason
        found += fit.p[0] <= 0.05
        outcome, predictor, seeds, layers = made(generator, 5, 12, 1.0, (0.5, 0.3))
        fit = mixed_fit(outcome, predictor, seeds, layers)
        covered += fit.low[0] <= predictor.std() <= fit.high[0]
    assert fitted >= 36
    assert found <= 6
    assert covered >= 33


@pytest.mark.parametrize(
    ("seeds", "layers", "reason"),
    [(2, 12, "2 seeds, and 3 are needed"), (9, 3, "3 layers, and 5 are needed"), (3, 5, "15 observations, and 20")],
)
def test_too_little_data_is_a_reason_and_not_a_number(seeds: int, layers: int, reason: str) -> None:
    fit = mixed_fit(*made(np.random.default_rng(0), seeds, layers, 1.0, (0.1, 0.1)))
    assert reason in fit.reason
    assert np.isnan([fit.coefficients[0], fit.low[0], fit.p[0]]).all()


def test_what_does_not_vary_or_follows_from_another_explains_nothing() -> None:
    outcome, predictor, seeds, layers = made(np.random.default_rng(0), 5, 12, 1.0, (0.1, 0.1))
    assert "same everywhere" in mixed_fit(outcome, np.ones_like(predictor), seeds, layers).reason
    assert "same everywhere" in mixed_fit(np.ones_like(outcome), predictor, seeds, layers).reason
    twice = np.concatenate([predictor, 2 * predictor + 1])
    assert "cannot be told apart" in mixed_fit(outcome, twice, seeds, layers).reason
