"""How alike models are, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def agreement_table(agreement: pd.DataFrame) -> RenderableType:
    """Per two sizes: how alike their models' predictions are along training."""
    if agreement.empty:
        return cells.plain(str(agreement.attrs.get("absent") or "No two models were compared in this run."))
    table = cells.table(
        "How alike models are (Pearson of word log-probabilities at the same step)",
        "size",
        "with",
        ">pairs",
        ">first",
        "along training",
        f">last [{tidy.level(agreement)} interval]",
        caption=f"Mean over pairs of models; {int(agreement['words'].max()):,} words.",
    )
    keys = ["size", "beside_run", "beside_size", "relation"]
    for (size, run, other, relation), rows in agreement.groupby(keys, sort=False):
        curve = rows.sort_values("step")
        last = curve.iloc[-1]
        table.add_row(
            cells.plain(size),
            cells.plain("other seeds" if relation == "seeds" else f"{run}: {other}" if run else other),
            str(int(curve["pairs"].max())),
            cells.number(curve["pearson"].iloc[0], 2),
            cells.sparkline(curve["pearson"], 0, 1),
            cells.with_interval(last["pearson"], last["low"], last["high"]),
        )
    return table
