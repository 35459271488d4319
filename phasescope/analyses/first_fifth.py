"""The first fifth: which share of a model's layers has settled when 20 % of training are over? (study A's headline)"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.registry import Options

FIFTH = {
    "size": "str", "component": "str", "tau": "float64", "share": "float64", "low": "float64", "high": "float64",
    "level": "float64", "layers": "int64", "seeds": "int64", "last_step": "int64",
}  # fmt: skip
ALL = "all"
_FIFTH = 0.2


def first_fifth(settling: DataFrame, convergence: DataFrame, options: Options) -> DataFrame:
    """Table `first_fifth`: one row per size, component (and `all` of them) and τ.

    The share is that of each seed's layers, averaged over seeds; the interval is over seeds (Student's t, within 0 and
    1). A layer that has no CKA at all is left out; one that never settles counts as not settled.
    """
    from phasescope.measures import mean_over_seeds

    keys = ["size", "seed", "site"]
    measured = convergence[convergence["head"].isna() & convergence["cka"].notna()]
    alive = measured.groupby(keys)["step"].nunique().rename("steps").reset_index()
    whole = settling[settling["head"].isna()].merge(alive[alive["steps"] > 1], on=keys)
    rows: list[tuple[Any, ...]] = []
    for (size, tau), here in whole.groupby(["size", "tau"], sort=False):
        for component in [ALL, *dict.fromkeys(here["component"])]:
            mine = here if component == ALL else here[here["component"] == component]
            within = (mine["settling_fraction"] <= _FIFTH).groupby(mine["seed"]).mean().to_numpy(np.float64)
            mean, low, high = (float(value) for value in mean_over_seeds(within, options.level))
            last = int(mine["last_step"].max())
            shape = (options.level, mine["site"].nunique(), len(within), last)
            rows.append((size, component, tau, mean, max(low, 0.0), min(high, 1.0), *shape))
    table: DataFrame = as_table(rows, FIFTH)
    return table
