"""The link's tables from planted ones: what is known is found, and where there is nothing, nothing is."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from phasescope.analyses import Options
from phasescope.analyses.link.columns import LINK_LAGS
from phasescope.analyses.link.curves import kl_curves, per_seed
from phasescope.analyses.link.first_fifth import first_fifth
from phasescope.analyses.link.lags import link_lags
from phasescope.analyses.link.rank import link_rank
from phasescope.analyses.link.shares import link_shares, sites_of
from tests.measures.planted import GRIDS, linked, trends, walks
from tests.reports.link_tables import resamples_of

OPTIONS = Options()
STEPS = GRIDS[12]


def convergence_of(curves: dict[tuple[str, int, str], np.ndarray], steps: list[int] = STEPS) -> pd.DataFrame:
    """A convergence table from CKA by size, layer and component: [seeds, steps] each."""
    rows = []
    for (size, layer, component), cka in curves.items():
        for seed, curve in enumerate(cka, 1):
            for step, value in zip(steps, curve, strict=True):
                site = f"blocks.{layer}.hook_{component}"
                rows.append((size, seed, step, site, layer, component, value, value - 0.02, value + 0.02))
    columns = ["size", "seed", "step", "site", "layer", "component", "cka", "low", "high"]
    return pd.DataFrame(rows, columns=columns).assign(head=pd.array([None] * len(rows), "Int64"), level=0.95)


def surprisal_of(values: np.ndarray, size: str = "1m", steps: list[int] = STEPS) -> pd.DataFrame:
    rows = [(size, seed, step, value) for seed, row in enumerate(values, 1)
            for step, value in zip(steps, row, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["size", "seed", "step", "surprisal"])


def phases_table(*rows: tuple[str, str, int | None, int, float, float, str]) -> pd.DataFrame:
    columns = ["curve", "size", "seed", "phase", "start", "end", "label"]
    return pd.DataFrame(list(rows), columns=columns).astype({"seed": "Int64"})


def settling_of(steps: dict[tuple[str, int, int, str], int | None], last: int = 1000) -> pd.DataFrame:
    """A settling table from (size, seed, layer, component)."""
    rows = [
        (size, seed, f"blocks.{layer}.hook_{component}", layer, component, 0.9, step,
         math.nan if step is None else step / last, last)
        for (size, seed, layer, component), step in steps.items()
    ]  # fmt: skip
    columns = "size seed site layer component tau settling_step settling_fraction last_step"
    table = pd.DataFrame(rows, columns=columns.split()).astype({"settling_step": "Int64"})
    return table.assign(head=pd.array([None] * len(rows), "Int64"), moved=True)


def test_shares_are_of_each_seeds_own_phases_and_over_seeds_of_those_of_all() -> None:
    cka = np.array([[0.0] * 6 + [0.4] * 3 + [1.0] * 3, [0.0] * 6 + [0.6] * 3 + [1.0] * 3])
    phases = phases_table(
        ("kl", "1m", None, 0, 0, 16, "flat"), ("kl", "1m", None, 1, 16, 128, "rising"),
        ("kl", "1m", None, 2, 128, 1000, "falling"), ("surprisal", "1m", 1, 0, 0, 128, "falling"),
        ("surprisal", "1m", 1, 1, 128, 1000, "flat"), ("kl", "other", None, 0, 0, 1000, "flat"),
    )  # fmt: skip
    convergence = convergence_of({("1m", 0, "mlp_out"): cka})
    table = link_shares(sites_of(convergence), resamples_of(convergence), phases, OPTIONS)
    kl = table[table["curve"] == "kl"].set_index(["seed", "phase"])["share"]
    assert kl[1].tolist() == pytest.approx([0, 0.4, 0.6])
    assert kl[2].tolist() == pytest.approx([0, 0.6, 0.4])
    over = table[(table["curve"] == "kl") & table["seed"].isna()]
    assert over["share"].tolist() == pytest.approx([0, 0.5, 0.5])
    assert (over["seeds"] == 2).all()
    # Two seeds 0.2 apart: t(1) = 12.7 times 0.1, and the texts beside it.
    assert over["high"].iloc[1] - over["share"].iloc[1] == pytest.approx(12.706 * 0.1, rel=0.01)
    own = table[table["curve"] == "surprisal"]
    assert own["seed"].tolist() == [1, 1]  # the other seed has no phases, and neither have all together
    assert own["share"].tolist() == pytest.approx([0.4, 0.6])
    assert (own["low"] < own["share"]).all()


def test_layers_that_do_not_move_have_a_reason_and_no_share() -> None:
    still = np.full((3, 12), 1.0)
    nothing = np.full((3, 12), math.nan)
    convergence = convergence_of({("1m", 0, "mlp_out"): still, ("1m", 1, "mlp_out"): nothing})
    phases = phases_table(("kl", "1m", None, 0, 0, 1000, "flat"))
    table = link_shares(sites_of(convergence), resamples_of(convergence), phases, OPTIONS)
    assert table["share"].isna().all()
    assert table["reason"].str.contains("hardly moves").sum() == 4
    assert table["reason"].str.contains("no CKA at two checkpoints").sum() == 4


def test_a_planted_lag_is_found_in_the_layers_that_have_it() -> None:
    generator = np.random.default_rng(5)
    cka, surprisal = linked(STEPS, 6, 0.6, 0.01, generator)
    others = {("1m", layer, "mlp_out"): linked(STEPS, 6, 0.6, 0.01, generator, link=False)[0] for layer in (1, 2, 3)}
    sites = sites_of(convergence_of({("1m", 0, "mlp_out"): cka, **others}))
    curves = list(per_seed(surprisal_of(surprisal), "surprisal", "1m", "surprisal"))
    table = link_lags(sites, curves, OPTIONS).set_index("layer")
    assert table["significant"].tolist() == [True, False, False, False]
    found = table.loc[0]
    assert found["low"] <= 0.6 <= found["high"]
    assert found["factor"] == pytest.approx(math.exp(found["lag"]))
    assert found["q"] >= found["p"] == pytest.approx(1 / 720)
    assert found["seeds"] == 6
    assert found["steps"] == 12


@pytest.mark.parametrize("kind", ["trends", "walks", "timing"])
def test_whole_analyses_of_nothing_find_nothing(kind: str) -> None:
    """40 analyses of 6 layers; those that find anything at all are 5 % or fewer: more than 6 would be rare (0.5 %)."""
    wrong = 0
    for trial in range(40):
        generator = np.random.default_rng([trial, 1])
        curves = {}
        _, surprisal = _null(kind, generator)
        for layer in range(6):
            curves["1m", layer, "mlp_out"] = _null(kind, generator)[0]
        behaviour = list(per_seed(surprisal_of(surprisal), "surprisal", "1m", "surprisal"))
        wrong += link_lags(sites_of(convergence_of(curves)), behaviour, OPTIONS)["significant"].any()
    assert wrong <= 6


def _null(kind: str, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    if kind == "walks":
        return walks(STEPS, 5, generator)
    if kind == "trends":
        return trends(STEPS, 5, 0.02, generator)
    return linked(STEPS, 5, 0.6, 0.02, generator, link=False)


def test_what_is_too_little_for_a_lag_is_said() -> None:
    generator = np.random.default_rng(0)
    cka, surprisal = linked(STEPS, 5, 0.6, 0.01, generator)

    def reason(cka: np.ndarray, surprisal: np.ndarray, steps: list[int] = STEPS) -> pd.Series:
        sites = sites_of(convergence_of({("1m", 0, "mlp_out"): cka}, steps))
        curves = list(per_seed(surprisal_of(surprisal, steps=steps), "surprisal", "1m", "surprisal"))
        return link_lags(sites, curves, OPTIONS).iloc[0]

    few = reason(cka[:, :8], surprisal[:, :8], STEPS[:8])
    assert "too few checkpoints" in few["reason"]
    assert math.isnan(few["lag"])
    one = reason(cka[:1], surprisal[:1])
    assert one["reason"].startswith("one seed: five or more")
    assert not one["significant"]
    assert math.isnan(one["p"])
    three = reason(cka[:3], surprisal[:3])
    assert three["reason"].startswith("3 seeds: five or more")
    assert math.isfinite(three["low"])
    assert reason(np.ones_like(cka), surprisal)["reason"] == "one of the two does not move"
    assert "no seed has both" in reason(np.full_like(cka, math.nan), surprisal)["reason"]
    assert list(link_lags([], [], OPTIONS).columns) == list(LINK_LAGS)


def test_steps_that_not_all_have_are_left_out_and_sizes_are_kept_apart() -> None:
    cka, surprisal = linked(STEPS, 5, 0.6, 0.01, np.random.default_rng(0))
    convergence = convergence_of({("1m", 0, "mlp_out"): cka, ("2m", 0, "mlp_out"): cka})
    lacking = convergence[~((convergence["seed"] == 2) & (convergence["step"] == 64))]
    curves = list(per_seed(surprisal_of(surprisal), "surprisal", "1m", "surprisal"))
    table = link_lags(sites_of(lacking), curves, OPTIONS)
    assert table["size"].tolist() == ["1m"]
    assert table["steps"].tolist() == [11]


def test_kl_of_a_seed_is_its_mean_with_the_others_asked_for() -> None:
    rows = [
        ("1m", step, p, q, 100 * step + 10 * p + q) for step in (0, 1) for p in (1, 2, 3) for q in (1, 2, 3) if p != q
    ]
    pairs = pd.DataFrame(rows, columns=["size", "step", "seed_p", "seed_q", "kl"])
    (curve,) = kl_curves(pairs, "1m")
    assert curve.seeds == [1, 2, 3]
    np.testing.assert_allclose(curve.of([1, 2, 3])[0], [(12 + 21 + 13 + 31) / 4, 100 + (12 + 21 + 13 + 31) / 4])
    np.testing.assert_allclose(curve.of([1, 3]), [[22, 122], [22, 122]])
    assert list(kl_curves(pairs[pairs["seed_p"] + pairs["seed_q"] != 5], "1m")) == []  # 2 and 3 were never compared
    assert list(kl_curves(pairs, "none")) == []


def test_the_first_fifth_counts_layers_seed_by_seed() -> None:
    steps = {
        ("1m", seed, layer, "mlp_out"): (100 if layer < seed else None) for seed in (1, 2, 3) for layer in range(4)
    }
    cka = np.linspace(0, 1, 12) * np.ones((3, 1))
    curves = {("1m", layer, "mlp_out"): cka for layer in range(4)}
    convergence = convergence_of(curves)
    table = first_fifth(settling_of(steps), convergence, OPTIONS).set_index("component")
    row = table.loc["all"]
    assert row["share"] == pytest.approx(0.5)
    assert (row["layers"], row["seeds"]) == (4, 3)
    half = 4.302653 * 0.25 / math.sqrt(3)  # t(2) times the standard error of 1/4, 1/2, 3/4
    assert (row["low"], row["high"]) == pytest.approx((max(0.5 - half, 0), min(0.5 + half, 1)))
    assert table.loc["mlp_out", "share"] == row["share"]
    # A layer without any CKA is no layer that does not settle.
    dead = convergence.assign(cka=convergence["cka"].where(convergence["layer"] < 2))
    assert first_fifth(settling_of(steps), dead, OPTIONS)["share"].iloc[0] == pytest.approx((0.5 + 1 + 1) / 3)
    assert first_fifth(settling_of({}), dead, OPTIONS).empty


def test_rank_that_sets_when_layers_settle_is_found_and_rank_that_does_not_is_not() -> None:
    generator = np.random.default_rng(2)
    rank, steps, curves = [], {}, {}
    for layer in range(12):
        share = 0.3 + 0.05 * layer
        curves["1m", layer, "mlp_out"] = np.linspace(0.1, 1, 12) + 0.02 * generator.standard_normal((5, 12))
        for seed in range(1, 6):
            steps["1m", seed, layer, "mlp_out"] = int(np.exp(7 - 5 * share + 0.1 * generator.standard_normal()))
            rank += [("1m", seed, step, layer, "W_out", None, share + 0.1 * (1 - number / 12))
                     for number, step in enumerate(STEPS)]  # fmt: skip
    columns = ["size", "seed", "step", "layer", "component", "head", "proportional"]
    ranks = pd.DataFrame(rank, columns=columns)
    table = link_rank(sites_of(convergence_of(curves)), settling_of(steps), ranks, OPTIONS)
    by_layer = table[table["method"] == "correlation"]
    assert len(by_layer) == 12
    assert (by_layer["high"] < 0).all()  # rank falls while CKA rises
    assert by_layer["p"].isna().all()
    models = table[table["method"] == "mixed model"].set_index("outcome")
    planted = -5 * 0.05 * np.std(np.arange(12))
    assert models.loc["settling", "low"] < planted < models.loc["settling", "high"] < 0
    assert models.loc["settling", "p"] < 0.001
    assert models.loc["settling", "observations"] == 60
    # Layers that never settle count as settled at the last step; where most never do, nothing is fitted.
    never = settling_of({key: (None if key[2] > 2 else step) for key, step in steps.items()})
    refused = link_rank(sites_of(convergence_of(curves)), never, ranks, OPTIONS)
    refused = refused[refused["method"] == "mixed model"]
    assert refused["estimate"].isna().all()
    assert (refused["reason"] == "45 of 60 layers never settle").all()
    few = link_rank(sites_of(convergence_of(curves)), settling_of(steps), ranks[ranks["seed"] < 3], OPTIONS)
    assert few[few["method"] == "mixed model"]["reason"].str.contains("2 seeds, and 3 are needed").all()
