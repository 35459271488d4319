"""How well do the models do in benchmarks that were run elsewhere?

The numbers are those of `phasescope import` and `phasescope evaluate`. Their interval is value ± z · standard error,
with z the normal quantile of the level (1.96 for 95 %), where there is a standard error: the harness's is over the
documents of a task. The interval is not clipped, so that of an accuracy near 0 or 1 may reach beyond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.question import Table, question
from phasescope.store import read_evaluations

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

COLUMNS = {
    "size": "str", "seed": "int64", "step": "int64", "task": "str", "metric": "str", "shots": "Int64",
    "value": "float64", "low": "float64", "high": "float64", "stderr": "float64", "higher_is_better": "boolean",
    "samples": "Int64", "limit": "float64", "source": "str", "level": "float64", "model": "str",
}  # fmt: skip
NONE = (
    "Nothing that was measured elsewhere is in this run. Bring it in with phasescope import RUN FILES, or run "
    "benchmarks with phasescope evaluate RUN --tasks NAMES."
)


@question(
    "How well do the models do in benchmarks that were run elsewhere?",
    [
        Table(
            "evaluations",
            "What was measured elsewhere and imported, or by `phasescope evaluate`; empty where nothing was.",
            COLUMNS,
            {"as `metric` says": "value low high stderr"},
        )
    ],
    reads=["evaluations.parquet"],
    needs="`phasescope import`",
    place=130,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `evaluations`: one row per size, seed, step, task, metric, number of examples in the prompt and model.

    model: "" for the run's own; the name of another, whose results were imported beside them.
    level: of intervals made of a standard error; missing where the file had its own interval, or none.
    """
    reader.require_shards()
    kept = read_evaluations(reader.folder)
    own = kept["low"].notna() & kept["high"].notna()
    half = _quantile(options.level) * kept["stderr"]
    table = kept.assign(
        low=kept["low"].where(own, kept["value"] - half),
        high=kept["high"].where(own, kept["value"] + half),
        level=np.where(own | kept["stderr"].isna(), np.nan, options.level),
    )
    order = {size: place for place, size in enumerate(reader.sizes)}
    table = table.assign(_place=table["size"].map(order).astype("float64"))
    table = table.sort_values(
        ["_place", "seed", "task", "metric", "shots", "model", "step"], kind="stable", ignore_index=True
    )
    made = table[list(COLUMNS)]
    if made.empty:
        made.attrs["absent"] = NONE
    return {"evaluations": made}


def _quantile(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))
