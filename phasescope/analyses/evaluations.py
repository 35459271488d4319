"""How well do the models do in benchmarks that were run elsewhere?

The numbers are those of `phasescope import` and `phasescope evaluate`. Their interval is value ± z · standard error,
with z the normal quantile of the level (1.96 for 95 %), where there is a standard error: the harness's is over the
documents of a task. The interval is not clipped, so that of an accuracy near 0 or 1 may reach beyond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.store import read_evaluations

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader
    from phasescope.analyses.registry import Options

COLUMNS = [
    "size", "seed", "step", "task", "metric", "shots", "value", "low", "high", "stderr", "higher_is_better", "samples",
    "limit", "source", "level", "model",
]  # fmt: skip
NONE = (
    "Nothing that was measured elsewhere is in this run. Bring it in with phasescope import RUN FILES, or run "
    "benchmarks with phasescope evaluate RUN --tasks NAMES."
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
    made = table[COLUMNS]
    if made.empty:
        made.attrs["absent"] = NONE
    return {"evaluations": made}


def _quantile(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))
