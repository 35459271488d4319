"""Why a figure is not there, in a sentence: nothing empty is ever drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd


def no_trajectory(table: pd.DataFrame, value: str, what: str, failure: str = "") -> str:
    """Why there is no curve of a column over steps; empty if there is one.

    Args:
        table: rows of one size.
        value: the column.
        what: its name for readers.
        failure: why the whole table is missing, if it is.
    """
    if failure:
        return failure
    if table.empty:
        return f"The run holds no {what} of this size."
    steps = tidy.integers(table["step"])
    if len(steps) == 1:
        return f"Only one step, {counting.bare(steps[0])}, was captured, so there is no trajectory of {what} to show."
    if value != "cka" and table[value].isna().all():
        return f"Every {what} of this size is missing (not a number)."
    return ""
