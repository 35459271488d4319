from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from sklearn.linear_model import LinearRegression
from sklearn.metrics.pairwise import cosine_similarity

from phasescope.measures import (
    active_share,
    bootstrap_weights,
    dead_share,
    gini,
    hoyer,
    intrinsic_dimension,
    mean_cosine,
    participation_ratio,
    two_nn_ratios,
)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("shape", [(50, 8), (8, 50), (20, 20)])
def test_participation_ratio_is_that_of_the_covariance(shape: tuple[int, int]) -> None:
    x = drawn(*shape) * torch.logspace(0, -2, shape[1]) + 1e4
    values = np.linalg.eigvalsh(np.cov(x.numpy().T))
    # The offset costs four digits.
    assert float(participation_ratio(x)) == pytest.approx(values.sum() ** 2 / (values**2).sum(), rel=1e-9)
    assert float(participation_ratio(x * 1e-200)) == pytest.approx(float(participation_ratio(x)), rel=1e-6)
    assert float(participation_ratio(drawn(30, 1) @ drawn(1, 9))) == pytest.approx(1)


@pytest.mark.parametrize("longest", [1, 1e3])
def test_resampled_participation_is_that_of_the_rows_drawn(longest: float) -> None:
    """To 1e-5: float32's 6e-8 of terms of which a fiftieth may be left; where less is, float64 again."""
    x = drawn(40, 5) + 7
    x[3] *= longest
    weights = bootstrap_weights(40, 60, seed=1)
    rows = [participation_ratio(x.repeat_interleave(row, dim=0)) for row in weights]
    np.testing.assert_allclose(participation_ratio(x, weights), torch.stack(rows), rtol=1e-5)
    x = drawn(12, 5) + 7
    one = torch.zeros(1, 12)
    one[0, 3] = 12
    assert participation_ratio(x, one).isnan().all()
    with pytest.raises(ValueError, match="weights"):
        participation_ratio(x, torch.ones(4))


def two_nn(x: np.ndarray) -> float:
    """Facco et al. 2017, by scikit-learn's line through the origin and all distances."""
    distances = np.sort(cdist(x, x), axis=1)
    mu = distances[:, 2] / distances[:, 1]
    mu = np.sort(mu[np.isfinite(mu)])
    kept = int(len(mu) * 0.9)
    heights = -np.log(1 - np.arange(1, kept + 1) / len(mu))
    line = LinearRegression(fit_intercept=False).fit(np.log(mu[:kept, None]), heights)
    return float(line.coef_[0])


@pytest.mark.parametrize(("samples", "d"), [(300, 2), (301, 5), (47, 3)])
def test_two_nn_is_facco_s_line(samples: int, d: int) -> None:
    x = drawn(samples, d) @ drawn(d, 30, seed=1) + 1e3
    assert float(intrinsic_dimension(two_nn_ratios(x))) == pytest.approx(two_nn(x.numpy()), rel=1e-8)


def test_copies_have_no_ratio_and_leave_the_dimension_as_it_is() -> None:
    x = drawn(200, 3)
    ratios = two_nn_ratios(torch.cat([x, x[:2]]))
    assert ratios.isnan().nonzero().flatten().tolist() == [0, 1, 200, 201]
    assert float(intrinsic_dimension(ratios)) == pytest.approx(two_nn(x.numpy()), rel=0.05)


def test_weights_of_one_change_nothing_and_copies_of_samples_stand_together() -> None:
    ratios = two_nn_ratios(drawn(100, 4))
    plain = float(intrinsic_dimension(ratios))
    assert intrinsic_dimension(ratios, torch.ones(2, 100)).tolist() == pytest.approx([plain, plain])
    resampled = intrinsic_dimension(ratios, bootstrap_weights(100, 400, seed=0))
    # The spread of Pareto's shape: about d / √n, a little more with the largest tenth left out.
    assert float(resampled.std()) == pytest.approx(plain / 10, rel=0.4)
    assert float(resampled.mean()) == pytest.approx(plain, rel=0.05)


def test_mean_cosine_is_over_all_pairs() -> None:
    x = drawn(30, 6) + 1
    all_pairs = cosine_similarity(x.numpy())[np.triu_indices(30, 1)]
    assert float(mean_cosine(x)) == pytest.approx(all_pairs.mean(), abs=1e-12)
    for scale in (1e200, 1e-200):
        assert float(mean_cosine(x * scale)) == pytest.approx(all_pairs.mean(), abs=1e-12)
        np.testing.assert_allclose(two_nn_ratios(x * scale), two_nn_ratios(x), rtol=1e-12)
    weights = bootstrap_weights(30, 3, seed=0)
    for row, found in zip(weights.double().numpy(), mean_cosine(x, weights).tolist(), strict=True):
        pairs = np.outer(row, row) - np.diag(row**2)
        assert found == pytest.approx((pairs * cosine_similarity(x.numpy())).sum() / pairs.sum(), abs=1e-12)


def test_sparsity_in_closed_form_and_by_definition() -> None:
    x = drawn(5, 12)
    sizes = x.abs().numpy()
    by_definition = [np.abs(row[:, None] - row).mean() / (2 * row.mean()) for row in sizes]
    np.testing.assert_allclose(gini(x).numpy(), by_definition, rtol=1e-12)
    one = torch.tensor([0.0, 0, 7, 0])
    assert float(gini(one)) == pytest.approx(1 - 1 / 4)
    assert float(hoyer(one)) == pytest.approx(1)
    assert float(gini(torch.ones(4))) == float(hoyer(torch.ones(4))) == 0
    root = np.sqrt(12)
    expected = (root - sizes.sum(1) / np.sqrt((sizes**2).sum(1))) / (root - 1)
    np.testing.assert_allclose(hoyer(x * 1e-200).numpy(), expected, rtol=1e-12)


def test_neurons_that_no_sample_moves_are_dead() -> None:
    x = torch.tensor([[1.0, -1, 0, 0.5], [2.0, 3, 0, -1]])
    assert active_share(x).tolist() == [0.5, 0.5]
    assert float(dead_share(x)) == 0.25
    x[0, 0] = torch.nan
    assert active_share(x).isnan().tolist() == [True, False]
    assert dead_share(x).isnan()


def test_what_has_no_answer_is_nan() -> None:
    broken = drawn(20, 4)
    broken[1, 1] = torch.nan
    for bad in (torch.zeros(20, 4), broken, drawn(1, 4), drawn(0, 4), drawn(20, 0)):
        assert participation_ratio(bad).isnan()
        assert mean_cosine(bad).isnan()
        assert intrinsic_dimension(two_nn_ratios(bad)).isnan()
    assert participation_ratio(torch.full((20, 4), 2.0)).isnan()
    assert torch.stack([gini(torch.zeros(3)), hoyer(torch.zeros(3)), hoyer(torch.ones(1))]).isnan().all()
    assert dead_share(torch.zeros(0, 4)).isnan()
    for measure in (participation_ratio, two_nn_ratios, mean_cosine, active_share, dead_share):
        with pytest.raises(ValueError, match=r"\[3\]"):
            measure(torch.ones(3))
    with pytest.raises(ValueError, match="weights"):
        mean_cosine(drawn(5, 2), torch.ones(4))
    with pytest.raises(ValueError, match="weights"):
        intrinsic_dimension(torch.ones(5), torch.ones(4))
