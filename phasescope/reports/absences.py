"""Why a figure is not there, in a sentence: nothing empty is ever drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports import tidy

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.tables import Tables


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
        return f"Only one step, {steps[0]}, was captured, so there is no trajectory of {what} to show."
    if value != "cka" and table[value].isna().all():
        return f"Every {what} of this size is missing (not a number)."
    return ""


def no_surprisal(table: pd.DataFrame, failure: str) -> str:
    """Why there is no surprisal curve; of a single step its value is said."""
    why = no_trajectory(table, "surprisal", "surprisal", failure)
    known = table[table["surprisal"].notna()]
    if failure or known.empty or known["step"].nunique() > 1:
        return why
    row = known.iloc[0]
    mean = known["surprisal"].median()
    value = f"{mean:.2f} nats per token (median of {len(known)} seeds)"
    if len(known) == 1:
        value = f"{mean:.2f} [{row['low']:.2f}, {row['high']:.2f}] nats per token"
    beside = "" if known["unigram"].isna().all() else f"; token frequencies alone give {known['unigram'].mean():.2f}"
    return f"{why} It is {value}{beside}."


def no_kl(tables: Tables, seeds: int) -> str:
    """Why there is no KL between seeds; `tables` of one size, `seeds` that it has."""
    table = tables.seeds
    if seeds < 2:
        return "There is one seed of this size, so no two can be compared: KL between seeds needs at least two."
    failure = tables.why_missing.get("seeds", "")
    if not failure and table.empty:
        return "No two seeds of this size were compared: no step was captured, with outputs, from two or more of them."
    why = no_trajectory(table, "kl", "KL between seeds", failure)
    known = table[table["kl"].notna()]
    if failure or known.empty or known["step"].nunique() > 1:
        return why
    row = known.iloc[0]
    return f"{why} It is {row['kl']:.3f} [{row['low']:.3f}, {row['high']:.3f}] nats per token."


def no_cka(component: str, table: pd.DataFrame) -> str:
    """Why a component has no heat map."""
    reasons = tidy.reasons(table)
    why = f": {tidy.listing(reasons, at_most=3)}" if reasons else ""
    return f"{component} has no CKA at any step{why}."
