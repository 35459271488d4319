"""Questions with options, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def multiple_choice_table(table: pd.DataFrame) -> RenderableType:
    """Per task and size: accuracy along training, beside chance, and the perplexity of options at the end."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "No questions were asked in this run."))
    return Group(*(part for task in dict.fromkeys(table["task"]) for part in (_task(tidy.of(table, task=task)), "")))


def _task(table: pd.DataFrame) -> RenderableType:
    first = table.iloc[0]
    made = cells.table(
        f"{first['task']}: {counted(int(first['questions']), 'question')} with options",
        "size",
        ">first",
        "along",
        ">last",
        ">per character",
        ">right",
        ">wrong",
        caption=f"Accuracy, by chance {first['chance']:.2f}; {tidy.over_seeds(table)}; [{tidy.level(table)} interval]. "
        "Right, wrong: perplexity of such options.",
    )
    for size, of_size in table.groupby("size", sort=False):
        rows = pooled(of_size)
        curve = rows.groupby("step")["accuracy"].median()
        last = rows[rows["step"] == rows["step"].max()].median(numeric_only=True)
        made.add_row(
            cells.plain(size),
            cells.number(curve.iloc[0], 2),
            cells.sparkline(curve, 0, 1, at_most=12),
            cells.with_interval(last["accuracy"], last["low"], last["high"]),
            cells.number(last["accuracy_norm"], 2),
            cells.short(last["perplexity"]),
            cells.short(last["perplexity_wrong"]),
        )
    return made
