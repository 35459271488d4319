from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.kit import tidy
from tests.reports.tables import SyntheticRun


def settled(steps: list[int | None], **more: object) -> pd.DataFrame:
    """One site, one row per seed."""
    table = pd.DataFrame(
        {
            "seed": range(len(steps)),
            "layer": 0,
            "component": "mlp_out",
            "head": None,
            "settling_step": steps,
            "low": 1,
            "high": 99,
            "last_step": 100,
            "first_step": 0,
            "first_cka": 0.2,
            "shuffled": 0.1,
            "moved": True,
        }
    ).assign(**more)
    return table.astype(dict.fromkeys(("layer", "head", "settling_step", "low", "high"), "Int64"))


def test_the_grid_is_the_median_over_seeds(run: SyntheticRun) -> None:
    table = tidy.whole(tidy.of(run.table("convergence"), size="0.4m", component="mlp_out"))
    grid = tidy.grid(table, "cka")
    assert grid.rows == [(layer, None) for layer in range(4)]
    assert grid.steps == run.steps("0.4m")
    for (layer, _), values in zip(grid.rows, grid.values, strict=True):
        for step, value in zip(grid.steps, values, strict=True):
            seeds = table[(table["layer"] == layer) & (table["step"] == step)]["cka"]
            assert value == pytest.approx(float(np.median(seeds)), abs=5e-4)  # three decimals are kept


def test_the_grid_by_head_has_a_row_for_every_head_of_every_layer(run: SyntheticRun) -> None:
    grid = tidy.grid(tidy.heads(tidy.of(run.table("convergence"), size="0.4m")), "cka", per_head=True)
    assert grid.rows == [(layer, head) for layer in range(4) for head in range(4)]


def test_missing_numbers_are_holes_and_not_zero() -> None:
    table = pd.DataFrame({"layer": [0, 0, 1], "head": None, "step": [0, 4, 4], "cka": [math.nan, 0.5, math.inf]})
    grid = tidy.grid(table, "cka")
    assert grid.values == [[None, 0.5], [None, None]]
    assert not grid.empty


def test_a_grid_of_nothing_is_empty() -> None:
    assert tidy.grid(pd.DataFrame({"layer": [], "head": [], "step": [], "cka": []}), "cka").empty


def test_numbers_that_json_cannot_hold_become_none() -> None:
    assert tidy.numbers_or_none([1, math.nan, math.inf, None, pd.NA, np.float32(0.5)]) == [
        1,
        None,
        None,
        None,
        None,
        0.5,
    ]


@pytest.mark.parametrize(
    ("steps", "median", "low", "high"),
    [
        ([4, 64, 16], 16, 4, 64),
        ([4, 64, 16, 32], 16, 4, 64),  # of two middle ones the earlier: a step that was probed
        ([4, None, 16], 16, 4, None),
        ([None, None, 16], None, 16, None),
        ([None, None, None], None, None, None),
        ([8], 8, 1, 99),  # one seed: its own interval
    ],
)
def test_never_counts_as_later_than_any_step(
    steps: list[int | None], median: int | None, low: int | None, high: int | None
) -> None:
    row = median_settling(settled(steps)).iloc[0]
    assert [None if pd.isna(row[name]) else int(row[name]) for name in ("median", "low", "high")] == [median, low, high]
    assert int(row["seeds"]) == len(steps)
    if median is None:
        assert pd.isna(row["fraction"])
    else:
        assert row["fraction"] == median / 100


@pytest.mark.parametrize(
    ("moved", "most"), [([True, True, False], True), ([True, False], False), ([False], False), ([True], True)]
)
def test_a_site_moved_if_it_did_in_more_than_half_of_the_seeds(moved: list[bool], most: bool) -> None:
    table = settled([0] * len(moved), moved=moved).assign(first_cka=np.linspace(0.5, 0.9, len(moved)))
    row = median_settling(table).iloc[0]
    assert row["moved"] == most
    assert (row["first_least"], row["first_most"], row["shuffled"]) == (0.5, table["first_cka"].max(), 0.1)


def test_seeds_that_end_before_others_are_in_no_median() -> None:
    table = settled([8, 16, 2], last_step=[100, 100, 50])
    row = median_settling(table).iloc[0]
    assert (row["median"], row["low"], row["high"], row["seeds"]) == (8, 8, 16, 2)
    said = "median of 2 seeds, their range in brackets; seed 2 left out, which ends at step 50"
    assert tidy.seeds_and_range(table, "95 %") == said
    assert tidy.over_seeds(table) == "median of 2 seeds, seed 2 left out, which ends at step 50"
    curves = pd.DataFrame({"seed": [0, 0, 1, 1, 2], "step": [0, 8, 0, 8, 0], "value": [1.0, 2, 3, 4, 90]})
    curve = tidy.across_seeds(curves.assign(low=0.0, high=1.0), "value", "low", "high")
    assert curve["value"].tolist() == [2, 3]
    assert curve["high"].tolist() == [3, 4]


def test_settling_is_told_per_head_and_per_layer() -> None:
    whole, one, two = settled([4]), settled([8], head=0), settled([16], head=1)
    table = median_settling(pd.concat([whole, one, two, settled([32], layer=1)]))
    assert table["median"].tolist() == [4, 8, 16, 32]
    assert table["head"].isna().tolist() == [True, False, False, True]


def test_a_training_of_no_steps_has_no_fraction() -> None:
    assert pd.isna(median_settling(settled([0], last_step=0))["fraction"].iloc[0])


def test_many_seeds_give_their_range_and_one_seed_its_interval() -> None:
    table = pd.DataFrame({"seed": [1, 2, 3], "step": 8, "kl": [1.0, 5.0, 2.0], "low": 0.0, "high": 9.0})
    assert tidy.across_seeds(table, "kl", "low", "high")[["value", "low", "high"]].iloc[0].tolist() == [2.0, 1.0, 5.0]
    one = tidy.across_seeds(table[:1], "kl", "low", "high")
    assert one[["value", "low", "high"]].iloc[0].tolist() == [1.0, 0.0, 9.0]


def test_components_come_in_reading_order_and_unknown_ones_last() -> None:
    assert tidy.ordered_components(["zeta", "mlp_out", "attn_out"]) == ["attn_out", "mlp_out", "zeta"]
