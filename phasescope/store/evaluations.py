"""What was measured on the run's checkpoints by others: one table in the run's folder, which captures never touch."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.store.folder import RunFolder
from phasescope.store.tables import read_table, write_table

if TYPE_CHECKING:
    from pandas import DataFrame

EVALUATIONS = {
    "size": "str", "seed": "int64", "step": "int64", "task": "str", "metric": "str", "shots": "Int64",
    "value": "float64", "stderr": "float64", "low": "float64", "high": "float64", "higher_is_better": "boolean",
    "samples": "Int64", "limit": "float64", "source": "str", "digest": "str", "model": "str", "named": "str",
}  # fmt: skip
EVALUATION_KEYS = ["size", "seed", "step", "task", "metric", "shots", "model"]
"""What one number is told by: no two rows of the table have all of these alike.

model: "" for the run's own; of another model, whose numbers are kept apart, its name.
"""


@dataclass(frozen=True)
class Kept:
    """What became of new numbers: how many rows there are now, which old ones went, which of these had other values.

    changed: columns of `EVALUATION_KEYS`, value_before, value.
    """

    rows: int
    replaced: int
    changed: DataFrame


def as_evaluations(table: DataFrame) -> DataFrame:
    """The table with exactly the columns and types of `EVALUATIONS`; what is not there is missing."""
    made = table.reindex(columns=list(EVALUATIONS)).reset_index(drop=True)
    # Tables of before models were told apart have neither.
    names = {name: made[name].astype("object").where(made[name].notna(), "") for name in ("model", "named")}
    return made.assign(**names).astype(EVALUATIONS)


def read_evaluations(folder: RunFolder) -> DataFrame:
    """What is kept in the run; no rows where nothing is. Raises `PhasescopeError` for a damaged file."""
    import pandas as pd

    if not folder.evaluations.is_file():
        return as_evaluations(pd.DataFrame())
    return as_evaluations(read_table(folder.evaluations, "Delete it and import the results again."))


def keep_evaluations(folder: RunFolder, new: DataFrame, again: Collection[str] = ()) -> Kept:
    """Add numbers to those of the run, or put them in the place of those with the same keys.

    Args:
        folder: of a run that nobody else is writing into (`folder.writing()`).
        new: columns of `EVALUATIONS`, no two rows with the same keys.
        again: sources of which all former rows of the models in `new` go, also those that it does not have any more.

    Raises:
        ValueError: two rows of `new` have the same keys.
        PhasescopeError: the file cannot be written.
    """
    import pandas as pd

    if new.duplicated(EVALUATION_KEYS).any():
        raise ValueError("two rows have the same keys")
    old = read_evaluations(folder)
    both = old.merge(new, on=EVALUATION_KEYS, suffixes=("_before", ""))
    before, after = both["value_before"], both["value"]
    changed = both[(before != after) & ~(before.isna() & after.isna())]
    superseded = old[EVALUATION_KEYS].merge(new[EVALUATION_KEYS], how="left", indicator=True)["_merge"] == "both"
    gone = (old["source"].isin(list(again)) & old["model"].isin(new["model"])) | superseded
    together = pd.concat([old[~gone], as_evaluations(new)], ignore_index=True)
    write_table(folder.evaluations, together)
    return Kept(len(together), int(gone.sum()), changed[[*EVALUATION_KEYS, "value_before", "value"]])
