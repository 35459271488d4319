"""Weighted sums of two models' predictions, and their nucleus, against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import softmax

from phasescope.measures import combined_probabilities, draw_tokens, nucleus


@pytest.mark.parametrize("weights", [(0, 1), (1, 0), (-1, 1), (1, -1), (0.5, 0.5), (-2.0, 3.0)])
def test_the_sum_is_that_of_probabilities(weights: tuple[float, float]) -> None:
    generator = np.random.default_rng(0)
    small, large = (4 * generator.normal(size=(6, 50)) + 1e3 for _ in range(2))
    made = combined_probabilities(small, large, *weights).numpy()
    wanted = np.maximum(weights[0] * softmax(small, -1) + weights[1] * softmax(large, -1), 0) + 1e-7
    # float64 on both sides.
    np.testing.assert_allclose(made, wanted / wanted.sum(-1, keepdims=True), rtol=1e-12)


def test_where_nothing_is_positive_all_are_alike() -> None:
    logits = torch.randn(3, 7)
    made = combined_probabilities(logits, logits, 1, -1)
    np.testing.assert_allclose(made.numpy(), 1 / 7, rtol=1e-12)


def test_the_nucleus_is_the_smallest_set_with_that_mass() -> None:
    generator = np.random.default_rng(1)
    probabilities = softmax(3 * generator.normal(size=(20, 30)), -1)
    for mass in (0.01, 0.5, 0.95, 1.0):
        made = nucleus(probabilities, mass).numpy()
        for row, kept in zip(probabilities, made, strict=True):
            order = np.argsort(-row)
            count = int(np.searchsorted(np.cumsum(row[order]), mass - 1e-12)) + 1
            assert set(np.flatnonzero(kept)) == set(order[:count])
            np.testing.assert_allclose(kept[order[:count]], row[order[:count]] / row[order[:count]].sum(), rtol=1e-12)
    ties = nucleus(np.full((1, 4), 0.25), 0.5)
    assert ties.tolist() == [[0.5, 0.5, 0, 0]]


def test_numbers_draw_entries_as_often_as_they_are_likely() -> None:
    probabilities = np.array([[0.5, 0.0, 0.2, 0.3]])
    numbers = (np.arange(1000) + 0.5) / 1000
    drawn = draw_tokens(np.repeat(probabilities, 1000, 0), numbers)
    assert np.bincount(drawn, minlength=4).tolist() == [500, 0, 200, 300]
    assert draw_tokens(probabilities, np.array([0.0])).item() == 0
    assert draw_tokens(probabilities, np.array([1.0])).item() == 3


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[2, 4\]"):
        combined_probabilities(torch.zeros(2, 3), torch.zeros(2, 4), 0, 1)
    with pytest.raises(ValueError, match="mass of a nucleus"):
        nucleus(torch.ones(1, 2) / 2, 0)
