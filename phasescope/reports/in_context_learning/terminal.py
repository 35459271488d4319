"""The in-context-learning score, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def in_context_learning_table(table: pd.DataFrame) -> RenderableType:
    """Per size and seed: the score first, along training, and last."""
    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "There is no loss in this run."))
    early, late = table[["early", "late"]].iloc[0]
    made = cells.table(
        f"Loss of tokens {late} minus that of tokens {early} (nats)",
        "size",
        ">seed",
        ">first",
        "along",
        ">last",
        ">early",
        ">late",
        caption=f"Below zero, what was read helps. {counted(int(table['sequences'].max()), 'sequence')}; "
        f"[{tidy.level(table)} interval]; early and late loss at the last step.",
    )
    for size in dict.fromkeys(table["size"]):
        for seed in tidy.integers(tidy.of(table, size=size)["seed"]):
            curve = tidy.of(table, size=size, seed=seed).sort_values("step")
            last = curve.iloc[-1]
            made.add_row(
                cells.plain(size),
                str(seed),
                cells.number(curve["score"].iloc[0], 2),
                cells.sparkline(curve["score"]),
                cells.with_interval(last["score"], last["low"], last["high"]),
                cells.number(last["early_loss"], 2),
                cells.number(last["late_loss"], 2),
            )
        made.add_section()
    return made
