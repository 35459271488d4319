"""Resampling to first order against exact resampling, where both can be had."""

import pytest
import torch

from phasescope.measures import FinalState, bootstrap_weights, cka


@pytest.mark.parametrize("per_sequence", [1, 4])
def test_first_order_has_the_spread_of_the_exact_resamples(per_sequence: int, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    sequences = 400
    shared = torch.randn(sequences, 6, generator=generator).repeat_interleave(per_sequence, 0)
    noise = torch.randn(2, sequences * per_sequence, 6, generator=generator)
    x, y = shared + noise[0], shared @ torch.randn(6, 6, generator=generator) + noise[1]
    weights = bootstrap_weights(sequences, 500, seed=1).repeat_interleave(per_sequence, 1)
    exact, exact_debiased = FinalState(y).resampled(x, weights)
    monkeypatch.setattr(cka, "MOST_EXACT", 10)
    first, first_debiased = FinalState(y).resampled(x, weights)
    # What is left out is of second order in 1/√400: a few per cent of the spread, and the shift `interval` removes.
    assert float(first.std() / exact.std()) == pytest.approx(1, abs=0.1)
    assert float(first_debiased.std() / exact_debiased.std()) == pytest.approx(1, abs=0.1)
    assert float(torch.corrcoef(torch.stack([first, exact]))[0, 1]) > 0.98


def test_first_order_is_one_for_a_layer_and_itself_and_nan_without_variance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cka, "MOST_EXACT", 10)
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) + 1e6
    weights = bootstrap_weights(50, 20, seed=0)
    biased, _ = FinalState(x).resampled(x, weights)
    torch.testing.assert_close(biased, torch.ones(20, dtype=torch.float64), rtol=0, atol=1e-12)  # float64 rounding
    assert FinalState(x).resampled(torch.ones(50, 3), weights)[0].isnan().all()


def test_many_samples_need_no_gram_matrix() -> None:
    x = torch.randn(20_000, 4, generator=torch.Generator().manual_seed(0))
    weights = bootstrap_weights(100, 50, seed=0).repeat_interleave(200, 1)
    biased, debiased = FinalState(x * 2).resampled(x, weights)  # a Gram matrix would take 3.2 GB
    assert biased.shape == debiased.shape == (50,)
    torch.testing.assert_close(biased, torch.ones(50, dtype=torch.float64), rtol=0, atol=1e-12)
