from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import (
    condition_number_of,
    frobenius_norm_of,
    nuclear_norm_of,
    path_share,
    sampled_distance,
    singular_values,
    spectral_norm_of,
    stable_rank_of,
)


@pytest.mark.parametrize("shape", [(7, 7), (5, 12), (12, 5), (1, 4)])
def test_norms_are_numpys(shape: tuple[int, int]) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values, matrix = singular_values(weight), weight.numpy()
    assert float(frobenius_norm_of(values)) == pytest.approx(np.linalg.norm(matrix))
    assert float(nuclear_norm_of(values)) == pytest.approx(np.linalg.norm(matrix, "nuc"))
    assert float(spectral_norm_of(values)) == pytest.approx(np.linalg.norm(matrix, 2))
    assert float(condition_number_of(values)) == pytest.approx(np.linalg.cond(matrix), rel=1e-6)
    expected = np.linalg.norm(matrix) ** 2 / np.linalg.norm(matrix, 2) ** 2
    assert float(stable_rank_of(values)) == pytest.approx(expected)


def test_norms_of_nothing_and_of_what_is_broken() -> None:
    deficient, zeros = torch.tensor([2.0, 1.0, 1e-9]), torch.zeros(3)
    assert condition_number_of(deficient).isinf()
    assert torch.stack([condition_number_of(zeros), stable_rank_of(zeros)]).isnan().all()
    assert float(frobenius_norm_of(zeros)) == float(nuclear_norm_of(zeros)) == float(spectral_norm_of(zeros)) == 0
    both = torch.stack([torch.full((3,), torch.nan), torch.ones(3)])
    for measure in (frobenius_norm_of, nuclear_norm_of, spectral_norm_of, condition_number_of, stable_rank_of):
        assert measure(both).isnan().tolist() == [True, False]
    assert spectral_norm_of(torch.zeros(2, 0)).isnan().all()


def test_the_path_is_gone_bit_by_bit() -> None:
    assert path_share(torch.tensor([2.0, 0.0, 6.0])).tolist() == [0, 0.25, 0.25, 1]
    assert path_share(torch.zeros(2)).isnan().all()
    assert path_share(torch.tensor([1.0, torch.nan])).isnan().all()
    assert path_share(torch.zeros(0)).isnan().tolist() == [True]
    with pytest.raises(ValueError, match="negative"):
        path_share(torch.tensor([-1.0]))
    with pytest.raises(ValueError, match=r"\[1, 2\]"):
        path_share(torch.ones(1, 2))


def test_distances_from_a_few_entries_and_their_errors() -> None:
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((2, 20_000)) * generator.gamma(1, size=20_000)
    whole = np.linalg.norm(x - y)
    found = np.array(
        [
            [float(part) for part in sampled_distance(x[places], y[places], len(x))]
            for places in generator.integers(0, len(x), (400, 256))
        ]
    )
    # 400 draws tell a mean to a twentieth of its spread, and that spread to 4 %; the root is a little biased.
    assert found[:, 0].mean() == pytest.approx(whole, rel=0.02)
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.2)
    exact = sampled_distance(x, y, len(x))
    assert [float(part) for part in exact] == [pytest.approx(whole), 0]
    assert [float(part) for part in sampled_distance(x[:5], x[:5], 100)] == [0, 0]
    assert all(part.isnan() for part in sampled_distance(x[:5] * np.nan, x[:5], 100))
    assert sampled_distance(x[:1], y[:1], 100)[1].isnan()
    with pytest.raises(ValueError, match="entries"):
        sampled_distance(x[:5], y[:4], 100)
    with pytest.raises(ValueError, match="entries"):
        sampled_distance(x[:5], y[:5], 4)
