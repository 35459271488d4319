"""The first fifth: which share of a model's layers has settled when 20 % of training are over? (study A's headline)"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.link.columns import FIRST_FIFTH
from phasescope.analyses.reader import as_table
from phasescope.analyses.seed_ends import left_out, pooled

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options

ALL = "all"
_FIFTH = 0.2


def first_fifth(settling: DataFrame, convergence: DataFrame, options: Options) -> DataFrame:
    """Table `first_fifth`: one row per size, component (and `all` of them) and τ.

    The share is that of each seed's layers that moved, averaged over seeds; the interval is over seeds (Student's t,
    within 0 and 1). Of a layer that is near its final state from the beginning, or by chance, nobody knows when it
    settled: `unmoved` says which share of a seed's layers these are. A layer that has no CKA at all is left out; one
    that never settles counts as not settled. Seeds that end before others are left out (`seed_ends`).
    """
    from phasescope.measures import mean_over_seeds

    keys = ["size", "seed", "site"]
    measured = convergence[convergence["head"].isna() & convergence["cka"].notna()]
    alive = measured.groupby(keys)["step"].nunique().rename("steps").reset_index()
    whole = settling[settling["head"].isna()].merge(alive[alive["steps"] > 1], on=keys)
    rows: list[tuple[Any, ...]] = []
    for (size, tau), here in whole.groupby(["size", "tau"], sort=False):
        without, here = left_out(here), pooled(here)
        for component in [ALL, *dict.fromkeys(here["component"])]:
            mine = here if component == ALL else here[here["component"] == component]
            moved = mine[mine["moved"]]
            within = (moved["settling_fraction"] <= _FIFTH).groupby(moved["seed"]).mean().to_numpy(np.float64)
            mean, low, high = (math.nan,) * 3
            if len(within):
                mean, low, high = (float(value) for value in mean_over_seeds(within, options.level))
            unmoved = float((~mine["moved"]).groupby(mine["seed"]).mean().mean())
            shape = (options.level, moved["site"].nunique(), len(within), int(mine["last_step"].max()))
            edges = np.clip([low, high], 0, 1)
            rows.append((size, component, tau, mean, *map(float, edges), *shape, unmoved, without))
    table: DataFrame = as_table(rows, FIRST_FIFTH)
    return table
