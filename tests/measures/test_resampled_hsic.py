from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import FinalState, State, bootstrap_weights, linear_cka
from phasescope.measures._resampled_cka import ExactlyResampled
from tests.measures import reference

# Float64 throughout; the polynomial in the counts cancels a few digits of sixteen.
EXACT = 1e-9


def draw(n: int, p: int, q: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, p, generator=generator, dtype=torch.float64)
    y = torch.randn(n, q, generator=generator, dtype=torch.float64)
    width = min(p, q)
    y[:, :width] += x[:, :width]
    return x, y


def exactly(x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both CKAs of x with the final state y in each resample, in float64 (test_resampled_cka: those of float32)."""
    return ExactlyResampled(State(y).gram, weights.double()).cka(State(x).gram)


def rows_of(counts: torch.Tensor) -> list[int]:
    return np.repeat(np.arange(len(counts)), counts.numpy()).tolist()


@pytest.mark.parametrize(("n", "p", "q"), [(30, 8, 5), (12, 40, 20), (100, 3, 3)])
def test_biased_is_the_cka_of_the_drawn_rows(n: int, p: int, q: int) -> None:
    x, y = draw(n, p, q)
    x, y = x + 5, y - 3
    weights = bootstrap_weights(n, 150, seed=1)
    biased, _ = exactly(x, y, weights)
    for value, counts in zip(biased, weights, strict=True):
        rows = rows_of(counts)
        assert float(value) == pytest.approx(reference.biased_cka(x.numpy()[rows], y.numpy()[rows]), abs=EXACT)


def debiased_by_hand(x: np.ndarray, y: np.ndarray, rows: list[int]) -> float:
    K, L = x @ x.T, y @ y.T
    cross, own, other = (reference.u_statistic(*pair, rows) for pair in ((K, L), (K, K), (L, L)))
    return cross / np.sqrt(own * other) if own > 0 and other > 0 else float("nan")


@pytest.mark.parametrize(("p", "q"), [(2, 3), (12, 20)])
def test_debiased_is_the_mean_over_fours_of_different_samples(p: int, q: int) -> None:
    """Copies of one sample are not two observations: every four of draws with such a pair is left out."""
    x, y = draw(8, p, q)
    weights = bootstrap_weights(8, 25, seed=2)
    _, debiased = exactly(x - 4, y + 7, weights)
    wanted = [debiased_by_hand(x.numpy(), y.numpy(), rows_of(counts)) for counts in weights]
    np.testing.assert_allclose(debiased.numpy(), wanted, atol=EXACT)
    assert np.isfinite(wanted).sum() > 20


def test_weights_of_one_are_the_samples_themselves() -> None:
    x, y = draw(30, 10, 60)
    state = FinalState(y)
    biased, debiased = exactly(x, y, torch.ones(1, 30))
    assert float(biased) == pytest.approx(float(state.cka(x)), abs=EXACT)
    assert float(debiased) == pytest.approx(float(state.cka(x, debiased=True)), abs=EXACT)


def test_a_resample_need_not_draw_as_many_as_there_are() -> None:
    """Half of the samples once each: the CKA of that half."""
    x, y = draw(30, 6, 6)
    weights = torch.zeros(1, 30)
    weights[0, :15] = 1
    biased, debiased = exactly(x, y, weights)
    assert float(biased) == pytest.approx(float(linear_cka(x[:15], y[:15])), abs=EXACT)
    assert float(debiased) == pytest.approx(float(linear_cka(x[:15], y[:15], debiased=True)), abs=EXACT)


def test_drawing_every_sample_twice_changes_nothing_biased_and_little_debiased() -> None:
    """Fours of different samples weigh alike when all counts are alike."""
    x, y = draw(20, 6, 6)
    once, twice = (exactly(x, y, torch.full((1, 20), count)) for count in (1, 2))
    for a, b in zip(once, twice, strict=True):
        assert float(a) == pytest.approx(float(b), abs=EXACT)


def test_the_final_state_has_cka_one_with_itself_in_every_resample() -> None:
    x, _ = draw(25, 40, 3)
    for values in exactly(2 * x + 1, x, bootstrap_weights(25, 300, seed=0)):
        np.testing.assert_allclose(values.numpy(), 1, atol=EXACT)


def test_resampling_shifts_biased_cka_but_not_debiased() -> None:
    """Why intervals are re-centred, and why copies are excluded: unrelated data with more features than samples."""
    x, y = (torch.randn(60, 200, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    state = FinalState(y)
    biased, debiased = state.resampled(x, bootstrap_weights(60, 2000, seed=3))
    shifts = [
        (values.mean() - point) / values.std() for values, point in zip((biased, debiased), state.both(x), strict=True)
    ]
    assert float(shifts[0]) > 3
    assert abs(float(shifts[1])) < 0.2


def test_resamples_are_independent_of_how_many_are_taken_at_a_time() -> None:
    x, y = draw(16, 5, 5)
    weights = bootstrap_weights(16, 3000, seed=4)  # several runs of resamples
    together = exactly(x, y, weights)
    apart = exactly(x, y, weights[1700:1701])
    for a, b in zip(together, apart, strict=True):
        assert float(a[1700]) == pytest.approx(float(b), abs=EXACT)


def test_undefined_resamples_are_nan_and_the_others_are_not() -> None:
    x, y = draw(10, 6, 6)
    weights = torch.zeros(4, 10)
    weights[0, 3] = 10  # one sample only: no variance
    weights[1, :3] = torch.tensor([4.0, 3.0, 3.0])  # three different samples: no four
    weights[2, :] = 1
    biased, debiased = FinalState(y).resampled(x, weights)
    assert biased.isnan().tolist() == [True, False, False, True]
    assert debiased.isnan().tolist() == [True, True, False, True]


def test_a_massive_sample_does_not_spoil_the_resamples_without_it() -> None:
    """One row a thousand times as long as the others, as language models have them at a text's first token."""
    x, y = draw(40, 20, 20)
    x[7], y[7] = 1000 * x[7], 1000 * y[7]
    weights = bootstrap_weights(40, 200, seed=5)
    biased, debiased = FinalState(y).resampled(x, weights)
    without = [i for i, counts in enumerate(weights) if counts[7] == 0]
    assert len(without) > 40
    for i in without:
        rows = rows_of(weights[i])
        # Means and products carry the massive row's 1e-16 · (1000 / 40)⁴ of rounding.
        assert float(biased[i]) == pytest.approx(reference.biased_cka(x.numpy()[rows], y.numpy()[rows]), abs=1e-7)
        assert -1.1 < float(debiased[i]) < 1.1


def test_without_variance_or_finite_values_all_is_nan() -> None:
    x = torch.randn(10, 4)
    weights = bootstrap_weights(10, 5, seed=0)
    for nothing in (torch.ones(10, 4), torch.full((10, 4), torch.nan)):
        assert all(values.isnan().all() for values in FinalState(x).resampled(nothing, weights))
        assert all(values.isnan().all() for values in FinalState(nothing).resampled(x, weights))


def test_no_resamples_are_no_values() -> None:
    x, y = draw(10, 4, 4)
    assert [values.shape for values in FinalState(y).resampled(x, torch.zeros(0, 10))] == [(0,), (0,)]


def test_wrong_weights_are_named() -> None:
    x, y = draw(10, 4, 4)
    state = FinalState(y)
    with pytest.raises(ValueError, match=r"\[resamples, 10\].*\[5, 11\]"):
        state.resampled(x, torch.ones(5, 11))
    with pytest.raises(ValueError, match="negative"):
        state.resampled(x, -torch.ones(5, 10))
    with pytest.raises(ValueError, match=r"\[9, 4\].*\[10, 4\]"):
        state.resampled(x[:9], torch.ones(5, 10))
