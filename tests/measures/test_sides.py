"""Sides that are prepared once: the numbers of single measures; resamples and nulls against doing it plainly."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import pdist, squareform
from scipy.stats import rankdata

from phasescope.measures import (
    SIMILARITIES,
    Chance,
    angular_procrustes,
    interval,
    linear_cka,
    mean_cca,
    mutual_neighbours,
    nearest,
    pwcca,
    rsa,
    shared_luck,
    shared_neighbours,
    svcca,
)
from tests.measures.test_similarity import PAIRS, drawn

ALONE = {
    "cka": linear_cka, "rsa": rsa, "neighbours": mutual_neighbours, "procrustes": angular_procrustes,
    "mean_cca": mean_cca, "svcca": svcca, "pwcca": pwcca,
    "rsa_spearman": lambda x, y: rsa(x, y, rdm="spearman"), "rsa_cosine": lambda x, y: rsa(x, y, rdm="cosine"),
}  # fmt: skip


def matrices() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    rng = np.random.default_rng(14)
    x, noise = rng.standard_normal((24, 7)), rng.standard_normal((24, 7))
    low = x[:, :3] @ rng.standard_normal((3, 12))
    return {
        "unrelated": (x, rng.standard_normal((24, 5))),
        "related": (x, x + 0.5 * noise),
        "rank-deficient": (low, low[:, :6] + 0.1 * noise[:, :6]),
        "offset": (x + 1e6, x - 1e6 + noise),
        "outlier": (np.concatenate([x[:-1], 1e4 * x[-1:]]), np.concatenate([noise[:-1], 1e4 * x[-1:]])),
        "copies": (np.repeat(x[:8], 3, axis=0), np.repeat(x[:8], 3, axis=0) + noise),
    }


RSATOOLBOX = {
    "unrelated": (0.023068163982, 0.038675244557, 0.840419675414),
    "related": (0.779217762304, 0.783735750827, 0.972571994302),
    "rank-deficient": (0.968622023088, 0.952672730711, 0.983642260342),
    "offset": (0.392456157874, 0.396161274704, 0.922059082606),
    "outlier": (-0.098673820294, -0.096962778180, 0.849728525603),
    "copies": (0.614071116940, 0.661734004194, 0.937506010538),
}
"""What rsatoolbox 0.3.2 gives of these: calc_rdm(method="correlation"), compare by spearman, corr and cosine."""


@pytest.mark.parametrize("name", RSATOOLBOX)
def test_rsa_is_that_of_rsatoolbox(name: str) -> None:
    x, y = matrices()[name]
    found = [float(rsa(x, y, compared=kind)) for kind in ("spearman", "pearson", "cosine")]
    wanted = list(RSATOOLBOX[name])
    if name == "copies":
        # Pairs of the same two samples are ties but for rounding, by which rsatoolbox ranks them: 4e-4 off.
        ranked = [rankdata(pdist(side, "correlation").round(12)) for side in (x, y)]
        wanted[0] = np.corrcoef(ranked)[0, 1]
    # An offset of 1e6 leaves ten digits.
    np.testing.assert_allclose(found, wanted, atol=1e-5 if name == "offset" else 1e-10)


def pico_pwcca(x: np.ndarray, y: np.ndarray) -> float:
    """As pico-analyze computes it (Google's code of 2018), derived anew from what that does, for p ≤ q.

    The weights are not of the canonical variates, as in equations 3 and 4 of the paper, but of Q of
    QR(uᵀ(X − mean) + mean), with u that belongs to the whitened X: the whitening is left out.
    """
    p = x.shape[1]
    means = x.mean(0)
    covariance = np.cov(x.T, y.T)
    scales = [np.abs(covariance[s, s]).max() for s in (slice(0, p), slice(p, None))]
    roots = []
    for block, scale in zip((covariance[:p, :p], covariance[p:, p:]), scales, strict=True):
        values, vectors = np.linalg.eigh(block / scale + 1e-6 * np.eye(len(block)))
        roots.append(vectors / np.sqrt(values) @ vectors.T)
    u, found, _ = np.linalg.svd(roots[0] @ (covariance[:p, p:] / np.sqrt(scales[0] * scales[1])) @ roots[1])
    directions = u.T @ (x - means).T + means[:, None]
    basis, _ = np.linalg.qr(directions.T)
    weights = np.abs(basis.T @ x).sum(1)
    return float(weights @ found[:p] / weights.sum())


def test_pwcca_is_that_of_pico_analyze_where_that_is_the_papers() -> None:
    x, y = (side.numpy() for side in (drawn(80, 6), drawn(80, 6) @ drawn(6, 6, seed=1) + drawn(80, 6, seed=2)))
    white = np.linalg.qr(x - x.mean(0))[0]
    # Centred and white: there is nothing to whiten, and no mean. Its ridge of 1e-6 is all that is left.
    assert float(pwcca(white, y)) == pytest.approx(pico_pwcca(white, y), abs=1e-5)
    uneven = x * np.logspace(0, 1.5, 6)
    assert abs(float(pwcca(uneven, y)) - pico_pwcca(uneven, y)) > 1e-3


def test_cka_is_that_of_pico_analyze() -> None:
    for x, y in matrices().values():
        a, b = (side - side.mean(0) for side in (x, y))
        expected = np.linalg.norm(a.T @ b) ** 2 / np.linalg.norm(a.T @ a) / np.linalg.norm(b.T @ b)
        assert float(linear_cka(x, y)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", SIMILARITIES)
def test_sides_give_what_the_measure_gives_alone(name: str, pair: str) -> None:
    x, y = PAIRS[pair]
    first, second = (SIMILARITIES[name].side(side) for side in (x, y))
    expected = float(ALONE[name](x, y))
    told = first.told(second, Chance.of(60, 20, 30, 0))
    assert float(first.to(second)) == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert float(told.value) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    same = first.told(SIMILARITIES[name].side(x), Chance.of(60, 20, 30, 0))
    assert float(same.value) == pytest.approx(SIMILARITIES[name].alike, abs=1e-7)
    assert told.shuffled.isfinite()


@pytest.mark.parametrize("name", ["cka", "rsa", "neighbours"])
def test_nulls_are_means_over_all_orders_of_groups(name: str) -> None:
    x, y = drawn(15, 4), drawn(15, 4) + drawn(15, 4, seed=1)
    parts = y.view(5, 3, 4)
    side = SIMILARITIES[name].side
    each = [float(side(x).to(side(parts[list(order)].reshape(15, 4)))) for order in permutations(range(5))]
    told = side(x).told(side(y), Chance.of(15, 5, 2, 0))
    assert float(told.shuffled) == pytest.approx(np.mean(each), abs=1e-9)


@pytest.mark.parametrize("name", ["procrustes", "mean_cca", "svcca", "pwcca"])
def test_other_nulls_are_of_one_order_in_which_no_group_stays(name: str) -> None:
    x, y, chance = drawn(60, 5), drawn(60, 6, seed=1), Chance.of(60, 20, 2, 3)
    assert (chance.order.view(20, 3)[:, 0] != torch.arange(0, 60, 3)).all()
    side = SIMILARITIES[name].side
    told = side(x).told(side(y), chance)
    assert float(told.shuffled) == pytest.approx(float(ALONE[name](x, y[chance.order])), abs=1e-9)


def test_rsa_in_resamples_counts_pairs_as_often_as_they_are_drawn() -> None:
    x, y, chance = drawn(18, 5), drawn(18, 5) + drawn(18, 5, seed=1), Chance.of(18, 6, 8, 0)
    told = SIMILARITIES["rsa"].side(x).told(SIMILARITIES["rsa"].side(y), chance)
    a, b = (squareform(rankdata(pdist(side, "correlation"))) for side in (x, y))
    for counts, found in zip(chance.draws.counts.numpy(), told.replicates, strict=True):
        weights = np.outer(counts, counts)[np.triu_indices(18, 1)]
        ranked = np.stack([a[np.triu_indices(18, 1)], b[np.triu_indices(18, 1)]])
        covariance = np.cov(ranked, aweights=weights)
        # float32 in what is summed.
        assert float(found) == pytest.approx(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]), abs=1e-5)


@pytest.mark.parametrize("name", ["cka", "procrustes", "mean_cca", "pwcca"])
def test_first_order_is_the_derivative(name: str) -> None:
    """One sample counted a little more: as the measure itself moves, where samples have weights."""
    x, y = drawn(300, 4), drawn(300, 4) @ drawn(4, 4, seed=2) + drawn(300, 4, seed=1)
    chance, small = Chance.of(300, 300, 3, 0), 1e-5
    counts = torch.ones(3, 300, dtype=torch.float64)
    counts[:, 7] += torch.tensor([0, small, -small], dtype=torch.float64)
    moved = (
        SIMILARITIES[name]
        .side(x)
        .told(SIMILARITIES[name].side(y), Chance(type(chance.draws)(counts), 300, chance.order))
        .replicates
    )
    found = float(moved[1] - moved[2]) / (2 * small)
    expected = (_weighted(name, x, y, counts[1]) - _weighted(name, x, y, counts[2])) / (2 * small)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-9)


def _weighted(name: str, x: torch.Tensor, y: torch.Tensor, counts: torch.Tensor) -> float:
    """The measure of samples with weights: rows less their weighted mean, times the root of their weight."""
    a, b = ((side - counts @ side / counts.sum()) * counts.sqrt()[:, None] for side in (x, y))
    if name == "cka":
        return float((a.mT @ b).norm() ** 2 / (a.mT @ a).norm() / (b.mT @ b).norm())
    if name == "procrustes":
        return float((torch.linalg.svdvals(a.mT @ b).sum() / a.norm() / b.norm()).arccos())
    (of_x, _, _), (of_y, _, _) = (torch.linalg.svd(side, full_matrices=False) for side in (a, b))
    found = torch.linalg.svdvals(of_x.mT @ of_y)
    if name == "mean_cca":
        return float(found.mean())
    centred = x - x.mean(0)  # weights stay those of all samples
    turn = torch.linalg.svd(torch.linalg.qr(centred).Q.mT @ torch.linalg.qr(y - y.mean(0)).Q)[0]
    weights = (turn.mT @ (torch.linalg.qr(centred).Q.mT @ centred)).abs().sum(1)
    return float(weights @ found / weights.sum())


@pytest.mark.parametrize("name", SIMILARITIES)
def test_what_has_no_answer_is_nan_in_all_it_tells(name: str) -> None:
    x, chance = drawn(40, 5), Chance.of(40, 20, 4, 0)
    for bad in (torch.zeros(40, 5), x / 0, x[:, :0]):
        told = SIMILARITIES[name].side(x).told(SIMILARITIES[name].side(bad), chance)
        assert told.value.isnan()
        assert told.shuffled.isnan()
        assert told.replicates.isnan().all()
    one = SIMILARITIES[name].side(x).told(SIMILARITIES[name].side(x), Chance.of(40, 1, 4, 0))
    assert one.value.isfinite()
    assert one.replicates.isnan().all()
    with pytest.raises(ValueError, match="the same samples"):
        SIMILARITIES[name].side(x).to(SIMILARITIES[name].side(x[:-1]))


def test_shares_of_neighbours_go_up_and_down_together() -> None:
    x = drawn(40, 6)
    y = x + drawn(40, 6, seed=1)
    near, far = nearest(x, 5), nearest(y, 5)
    shares, wider = shared_luck(near, far, 20)
    np.testing.assert_allclose(shares, shared_neighbours(x, y, 5))
    apart = (shares - shares.mean()).numpy()
    group = np.arange(40) // 2
    pairs = [
        [group[i] == group[j] or j in set(near[i].tolist()) & set(far[i].tolist()) for j in range(40)]
        for i in range(40)
    ]
    known = np.equal.outer(group, group)
    variance = [float(apart @ np.array(which, dtype=float) @ apart) for which in (known, pairs)]
    assert wider == pytest.approx(max(1.0, np.sqrt(variance[1] / variance[0])), rel=1e-9)
    assert shared_luck(near, near, 40)[1] == 1  # all alike: nothing goes up or down
    with pytest.raises(ValueError, match="40 samples do not make 7 equal groups"):
        shared_luck(near, far, 7)


def test_too_few_samples_for_cca_are_said() -> None:
    side = SIMILARITIES["pwcca"].side
    first, second = side(drawn(17, 9)), side(drawn(17, 5, seed=1))
    assert first.why_not(second) == "CCA of 9 dimensions means nothing with fewer than 18 samples: these are 17"
    assert first.told(second, Chance.of(17, 17, 3, 0)).value.isnan()
    assert side(drawn(18, 9)).why_not(side(drawn(18, 9))) == ""
    with pytest.raises(ValueError, match="17 samples do not make 5 equal groups"):
        Chance.of(17, 5, 3, 0)


@pytest.mark.parametrize("name", ["cka", "rsa", "neighbours", "procrustes", "mean_cca", "pwcca"])
def test_intervals_hold_what_other_samples_of_the_same_give(name: str) -> None:
    """60 draws of 100 samples; 95 % are wanted of 0.95 ± 0.06 (two standard errors), resampling being what it is."""
    side, mix = SIMILARITIES[name].side, drawn(5, 5, seed=9)
    found = []
    for seed in range(60):
        x = drawn(100, 5, seed=seed)
        y = x @ mix + drawn(100, 5, seed=seed + 1000)
        told = side(x).told(side(y), Chance.of(100, 100, 200, seed))
        found.append((float(told.value), *map(float, interval(told.replicates, told.value))))
    values, low, high = np.array(found).T
    # What all samples of the population would give is not known, but for the mean of these draws.
    assert np.mean((low <= values.mean()) & (values.mean() <= high)) >= 0.85
    assert np.mean(high - low) < 8 * values.std()
