"""PWCCA, SVCCA, mean CCA, Procrustes, RSA, nearest neighbours: against other routes, other libraries, nasty input."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes, subspace_angles
from scipy.spatial.distance import pdist
from scipy.stats import rankdata, spearmanr
from sklearn.neighbors import NearestNeighbors

from phasescope.measures import (
    angular_procrustes,
    canonical_correlations,
    dissimilarities,
    mean_cca,
    mutual_neighbours,
    pwcca,
    ranks,
    rsa,
    shared_neighbours,
    svcca,
    why_no_neighbours,
)
from phasescope.measures.neighbours import NeighbourSide
from tests.measures import reference

Measure = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
MEASURES: dict[str, Measure] = {
    "mean_cca": mean_cca,
    "svcca": svcca,
    "pwcca": pwcca,
    "procrustes": angular_procrustes,
    "rsa": rsa,
    "neighbours": mutual_neighbours,
}


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def pairs() -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    x, noise = drawn(60, 9), drawn(60, 9, seed=1)
    low = x[:, :3] @ drawn(3, 20, seed=2)
    return {
        "unrelated": (x, drawn(60, 5, seed=3)),
        "related": (x, (x + 0.3 * noise) @ drawn(9, 14, seed=4)),
        "rank-deficient": (low, low[:, :7] + 0.1 * noise[:, :7]),
        "offset": (x + 1e6, x @ drawn(9, 9, seed=5) - 1e6 + noise),
        "tiny": (x * 1e-150, (x + noise) * 1e150),
        "outlier": (torch.cat([x[:-1], 1e4 * x[-1:]]), torch.cat([noise[:-1], 1e4 * x[-1:]])),
    }


PAIRS = pairs()


@pytest.mark.parametrize("name", PAIRS)
def test_correlations_are_those_of_hotelling_and_of_principal_angles(name: str) -> None:
    x, y = (side.numpy() for side in PAIRS[name])
    x, y = x / np.abs(x).max(), y / np.abs(y).max()  # the references' squares of 1e-150 would be 0
    found = canonical_correlations(x, y).numpy()
    # Eigenvalues of a product that is not symmetric lose half of the digits, and those of outliers some more.
    np.testing.assert_allclose(found, reference.cca(x, y), atol=1e-5)
    bases = [np.linalg.svd(side - side.mean(0), full_matrices=False) for side in (x, y)]
    spans = [U[:, values > 1e-10 * values[0]] for U, values, _ in bases]
    np.testing.assert_allclose(found, np.cos(subspace_angles(*spans))[::-1], atol=1e-9)
    assert float(mean_cca(x, y)) == pytest.approx(found.mean(), abs=1e-12)
    assert float(pwcca(x, y)) == pytest.approx(reference.pwcca(x, y), abs=1e-6)


def test_svcca_is_mean_cca_of_the_components_kept() -> None:
    x = drawn(80, 10) * torch.logspace(0, -3, 10, dtype=torch.float64)
    y = drawn(80, 6, seed=1) + x[:, :6]
    kept = []
    for side in (x.numpy(), y.numpy()):
        centred = side - side.mean(0)
        U, values, _ = np.linalg.svd(centred, full_matrices=False)
        share = np.cumsum(values**2) / np.sum(values**2)
        kept.append(U[:, : int(np.argmax(share >= 0.9)) + 1] * values[: int(np.argmax(share >= 0.9)) + 1])
    assert kept[0].shape[1] < 10
    assert float(svcca(x, y, variance=0.9)) == pytest.approx(reference.cca(*kept).mean(), abs=1e-7)
    assert float(svcca(x, y, variance=1)) == pytest.approx(float(mean_cca(x, y)), abs=1e-12)
    with pytest.raises(ValueError, match="a share"):
        svcca(x, y, variance=99)


@pytest.mark.parametrize(("samples", "said"), [(17, False), (18, True), (8, False)])
def test_fewer_samples_than_twice_the_dimensions_give_no_number(samples: int, said: bool) -> None:
    x, y = drawn(samples, 9), drawn(samples, 5, seed=1)
    for measure in (mean_cca, pwcca):
        assert bool(measure(x, y).isfinite()) is said
    # A number would be worthless: unrelated, and perfectly alike.
    if samples == 8:
        assert float(canonical_correlations(x, y).max()) == pytest.approx(1)


@pytest.mark.parametrize("name", PAIRS)
def test_procrustes_is_the_angle_left_by_the_best_rotation(name: str) -> None:
    x, y = (side / side.abs().max() for side in PAIRS[name])
    width = max(x.shape[1], y.shape[1])
    x, y = (np.pad(s, ((0, 0), (0, width - s.shape[1]))) for s in (x.numpy(), y.numpy()))
    x, y = (s - s.mean(0) for s in (x, y))
    x, y = (s / np.linalg.norm(s) for s in (x, y))
    turn, _ = orthogonal_procrustes(x, y)
    # Near 0 the arc cosine loses half the digits.
    assert float(angular_procrustes(*PAIRS[name])) == pytest.approx(np.arccos(np.sum(x @ turn * y)), abs=1e-7)


def test_procrustes_keeps_the_triangle_inequality_and_takes_few_samples() -> None:
    x, y, z = drawn(30, 40), drawn(30, 50, seed=1), drawn(30, 6, seed=2)
    sides = [float(angular_procrustes(*pair)) for pair in ((x, y), (y, z), (x, z))]
    assert max(sides) <= sum(sides) - max(sides)
    wide = torch.linalg.svdvals((x - x.mean(0)).mT @ (y - y.mean(0))).sum()
    expected = torch.arccos(wide / (x - x.mean(0)).norm() / (y - y.mean(0)).norm())
    assert sides[0] == pytest.approx(float(expected), abs=1e-10)


@pytest.mark.parametrize(("kind", "metric"), [("pearson", "correlation"), ("cosine", "cosine")])
def test_dissimilarities_are_scipys(kind: str, metric: str) -> None:
    for x, _ in PAIRS.values():
        scaled = x / x.abs().max()
        np.testing.assert_allclose(dissimilarities(x, kind).numpy(), pdist(scaled, metric), atol=1e-9)


def test_spearman_shares_ranks_among_ties() -> None:
    x = drawn(12, 7).round()
    np.testing.assert_array_equal(ranks(x).numpy(), rankdata(x.numpy(), axis=1))
    expected = 1 - spearmanr(x.numpy(), axis=1).statistic[np.triu_indices(12, 1)]
    np.testing.assert_allclose(dissimilarities(x, "spearman").numpy(), expected, atol=1e-12)
    with pytest.raises(ValueError, match="kendall"):
        dissimilarities(x, "kendall")


@pytest.mark.parametrize("compared", ["pearson", "spearman", "cosine"])
def test_rsa_compares_all_pairs_once(compared: str) -> None:
    x, y = PAIRS["related"]
    a, b = pdist(x, "correlation"), pdist(y, "correlation")
    expected = {
        "pearson": np.corrcoef(a, b)[0, 1],
        "spearman": spearmanr(a, b).statistic,
        "cosine": a @ b / np.linalg.norm(a) / np.linalg.norm(b),
    }
    assert float(rsa(x, y, compared=compared)) == pytest.approx(expected[compared], abs=1e-10)


def test_neighbours_are_scikit_learns() -> None:
    x, y = PAIRS["related"]
    found = [NearestNeighbors(n_neighbors=8, metric="cosine").fit(s).kneighbors(return_distance=False) for s in (x, y)]
    expected = [len(set(a) & set(b)) / 8 for a, b in zip(*found, strict=True)]
    np.testing.assert_allclose(shared_neighbours(x, y, k=8).numpy(), expected)
    chance = np.mean([float(mutual_neighbours(drawn(50, 4, seed=s), drawn(50, 4, seed=s + 99))) for s in range(30)])
    # 10 of 49; the mean of 30 draws of 50 samples is known to about 0.006.
    assert chance == pytest.approx(10 / 49, abs=0.03)


def test_samples_of_one_direction_have_no_neighbours() -> None:
    x = drawn(40, 5)
    longer = torch.arange(1, 41, dtype=torch.float64)[:, None] * torch.tensor([0.3, 0.1, 0.7])
    assert mutual_neighbours(longer, longer).isnan()
    assert mutual_neighbours(x, longer).isnan()
    assert "one way" in why_no_neighbours(longer, 10)
    assert "one way" in NeighbourSide(x).why_not(NeighbourSide(longer))
    # Cosines that differ by 1e-12 are told apart.
    assert why_no_neighbours(x + 1e6, 10) == ""
    expected = float(mutual_neighbours(x, x))
    assert float(mutual_neighbours(x * 1e200, x * 1e-200)) == expected == 1


@pytest.mark.parametrize("scale", [1e200, 1e-200])
@pytest.mark.parametrize("kind", ["pearson", "cosine"])
def test_dissimilarities_of_any_scale(kind: str, scale: float) -> None:
    x = drawn(12, 7)
    np.testing.assert_allclose(dissimilarities(x * scale, kind), dissimilarities(x, kind), atol=1e-14)
    assert float(rsa(x * scale, x + 1)) == pytest.approx(float(rsa(x, x + 1)), abs=1e-12)


@pytest.mark.parametrize("name", MEASURES)
def test_what_has_no_answer_is_nan(name: str) -> None:
    measure, x = MEASURES[name], drawn(40, 5)
    broken = x.clone()
    broken[3, 2] = torch.nan
    endless = x.clone()
    endless[0, 0] = torch.inf
    for bad in (torch.zeros(40, 5), broken, endless, drawn(40, 0)):
        assert measure(x, bad).isnan()
        assert measure(bad, x).isnan()
    same = torch.ones(40, 5)
    for pair in ((same, same), (same, x), (x, same + 0.1), (0.1 * same, 0.7 * same)):
        assert measure(*pair).isnan()
    assert measure(x[:1], x[:1]).isnan()
    assert measure(x[:0], x[:0]).isnan()
    with pytest.raises(ValueError, match=r"\[40, 5\] and \[39, 5\]"):
        measure(x, x[:-1])
    if name != "neighbours" and name != "rsa":
        assert measure(x, torch.full((40, 5), 3.0)).isnan()  # constant


@pytest.mark.parametrize("name", MEASURES)
def test_the_same_under_rotation_and_scale(name: str) -> None:
    x, y = drawn(40, 5), drawn(40, 5, seed=1)
    turn = torch.linalg.qr(drawn(5, 5, seed=2)).Q
    if name not in ("rsa", "pwcca"):  # what is taken feature by feature depends on which these are
        assert float(MEASURES[name](x @ turn, y)) == pytest.approx(float(MEASURES[name](x, y)), abs=1e-9)
    assert float(MEASURES[name](3e5 * x, y)) == pytest.approx(float(MEASURES[name](x, y)), abs=1e-9)
    assert float(MEASURES[name](x, x)) == pytest.approx(0 if name == "procrustes" else 1, abs=1e-7)
