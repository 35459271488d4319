from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import bootstrap_weights, clustered_mean_interval, interval


def test_weights_count_draws() -> None:
    weights = bootstrap_weights(20, 5000, seed=1)
    assert weights.shape == (5000, 20)
    assert not weights.is_floating_point()
    assert (weights.sum(1) == 20).all()
    assert (weights >= 0).all()
    # Each count is binomial(20, 1/20): mean 1, variance 0.95; standard errors over 100 000 counts are below 0.01.
    assert float(weights.double().mean(0).sub(1).abs().max()) < 0.06
    assert float(weights.double().var()) == pytest.approx(0.95, abs=0.03)


def test_weights_follow_the_seed() -> None:
    assert torch.equal(bootstrap_weights(9, 7, seed=3), bootstrap_weights(9, 7, seed=3))
    assert not torch.equal(bootstrap_weights(9, 7, seed=3), bootstrap_weights(9, 7, seed=4))


def test_weights_of_one_sample_and_of_none() -> None:
    assert bootstrap_weights(1, 3, seed=0).tolist() == [[1], [1], [1]]
    assert bootstrap_weights(3, 0, seed=0).shape == (0, 3)
    with pytest.raises(ValueError, match="0 samples"):
        bootstrap_weights(0, 3, seed=0)
    with pytest.raises(ValueError, match="-1 resamples"):
        bootstrap_weights(3, -1, seed=0)


def test_interval_is_the_percentiles_moved_to_the_estimate() -> None:
    replicates = torch.arange(101.0)  # percentiles are 2.5, 50, 97.5
    low, high = interval(replicates, torch.tensor(10.0))
    assert (float(low), float(high)) == pytest.approx((10 - 47.5, 10 + 47.5))
    low, high = interval(replicates, torch.tensor(10.0), level=0.5)
    assert (float(low), float(high)) == pytest.approx((10 - 25, 10 + 25))


def test_interval_of_many_statistics_with_undefined_replicates() -> None:
    generator = torch.Generator().manual_seed(0)
    replicates = torch.randn(400, 3, 5, generator=generator)
    replicates[torch.rand(replicates.shape, generator=generator) < 0.2] = torch.nan
    replicates[:, 1, 1] = torch.nan
    estimate = torch.randn(3, 5, generator=generator)
    estimate[2, 2] = torch.nan
    low, high = interval(replicates, estimate)
    assert low.shape == high.shape == (3, 5)
    for i, j in np.ndindex(3, 5):
        if (i, j) in ((1, 1), (2, 2)):
            assert low[i, j].isnan()
            assert high[i, j].isnan()
            continue
        percentiles = np.nanpercentile(replicates[:, i, j].double().numpy(), [2.5, 50, 97.5])
        wanted = percentiles - percentiles[1] + float(estimate[i, j])
        assert (float(low[i, j]), float(high[i, j])) == pytest.approx((wanted[0], wanted[2]), abs=1e-12)


def test_interval_encloses_the_estimate_even_of_a_shifted_statistic() -> None:
    low, high = interval(torch.rand(200) ** 4, torch.tensor(5.0))
    assert float(low) <= 5 <= float(high)


@pytest.mark.parametrize("missing", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("shape", [(500, 20), (1, 3), (2, 1), (7, 4)])
def test_percentiles_are_those_of_torch_to_the_last_bit(shape: tuple[int, int], missing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    replicates = torch.randn(*shape, generator=generator, dtype=torch.float64)
    replicates[torch.rand(*shape, generator=generator) < missing] = torch.nan
    replicates[0, 0] = torch.inf
    for level in (0.95, 0.5, 0.999):
        levels = torch.tensor([(1 - level) / 2, 0.5, (1 + level) / 2], dtype=torch.float64)
        low, middle, high = torch.nanquantile(replicates, levels, dim=0)
        found = interval(replicates, torch.zeros(shape[1]), level)
        torch.testing.assert_close(found[0], low - middle, rtol=0, atol=0, equal_nan=True)
        torch.testing.assert_close(found[1], high - middle, rtol=0, atol=0, equal_nan=True)


def test_wrong_intervals_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[10, 3\] and \[4\]"):
        interval(torch.randn(10, 3), torch.randn(4))
    with pytest.raises(ValueError, match=r"\[0, 3\]"):
        interval(torch.randn(0, 3), torch.randn(3))
    for level in (0.0, 1.0, 95.0, float("nan")):
        with pytest.raises(ValueError, match="level"):
            interval(torch.randn(10), torch.tensor(0.0), level)


def test_mean_interval_has_the_standard_error_of_sequence_means() -> None:
    generator = torch.Generator().manual_seed(0)
    # Values within a sequence are nearly alike, so 40 sequences tell as much as 40 values, not as 4000.
    values = torch.randn(40, 1, generator=generator) + 0.1 * torch.randn(40, 100, generator=generator)
    mean, low, high = clustered_mean_interval(values, seed=1, resamples=4000)
    assert float(mean) == pytest.approx(float(values.double().mean()), abs=1e-12)
    error = float(values.double().mean(1).std(correction=0)) / 40**0.5
    # Percentiles of 4000 replicates scatter by about 3 %.
    assert float(high - low) == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert low < mean < high


def test_mean_interval_covers_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(300):
        generator = torch.Generator().manual_seed(trial)
        values = torch.randn(30, 1, generator=generator) + torch.randn(30, 5, generator=generator)
        _, low, high = clustered_mean_interval(values, seed=trial, resamples=300)
        covered += int(low <= 0 <= high)
    # 95 % nominal; the bootstrap of 30 sequences gives about 93 %, and 300 trials scatter by 1.5 %.
    assert 0.88 < covered / 300 < 0.98


def test_mean_interval_leaves_out_what_is_not_there() -> None:
    values = torch.randn(10, 6, dtype=torch.float64)
    holes = values.clone()
    holes[2, 3:] = torch.nan
    mean, _, _ = clustered_mean_interval(holes)
    assert float(mean) == pytest.approx(float(np.nanmean(holes.numpy())), abs=1e-12)
    padded = torch.cat([values, torch.full((4, 6), torch.nan)])
    for a, b in zip(clustered_mean_interval(padded), clustered_mean_interval(values), strict=True):
        assert float(a) == float(b)


def test_mean_interval_follows_seed_level_and_pools_all_dimensions() -> None:
    values = torch.randn(12, 4, 3)
    first = clustered_mean_interval(values, seed=5)
    assert first == clustered_mean_interval(values.reshape(12, 12), seed=5)
    assert first != clustered_mean_interval(values, seed=6)
    wide, narrow = (clustered_mean_interval(values, level=level) for level in (0.99, 0.5))
    assert wide[1] < narrow[1] < narrow[2] < wide[2]
    assert clustered_mean_interval(values[:, 0, 0])[0].shape == ()


def test_mean_interval_of_too_little() -> None:
    mean, low, high = clustered_mean_interval(torch.tensor([[1.0, 3.0]]))
    assert float(mean) == 2
    assert low.isnan()
    assert high.isnan()
    for nothing in (torch.full((3, 2), torch.nan), torch.zeros(0, 4), torch.zeros(4, 0)):
        assert all(value.isnan() for value in clustered_mean_interval(nothing))
    assert [float(value) for value in clustered_mean_interval(torch.full((5, 2), 0.5))] == [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match="single number"):
        clustered_mean_interval(torch.tensor(1.0))
