"""How far weights came, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def drift_table(drift: pd.DataFrame, norms: pd.DataFrame) -> RenderableType:
    """Per size and matrix, median over layers and seeds: distance to the first step, path, turns, stable rank."""
    from rich.console import Group

    if drift.empty:
        return cells.plain(str(drift.attrs.get("absent") or "There are no weights to compare in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(drift["size"]):
        whole = pooled(tidy.whole(tidy.of(drift, size=size)))
        sizes = pooled(tidy.of(norms, size=size))
        made = cells.table(
            f"{size}: how far matrices came",
            "matrix",
            "from the start",
            ">last",
            ">path half gone",
            ">turns",
            ">stable rank",
            caption="From the start: distance over the norm at the first step. Turns: cosine of the last update with "
            f"the one before. Stable rank: first and last step. {cells.middle(whole, 'and layers')}.",
        )
        for component in dict.fromkeys(whole["component"]):
            mine = tidy.of(whole, component=component)
            curve = mine.groupby("step")["relative"].median()
            gone = mine.groupby("step")["path_share"].median()
            half = gone[gone >= 0.5]
            last = mine[mine["step"] == mine["step"].max()]
            made.add_row(
                cells.plain(component),
                cells.sparkline(curve),
                cells.number(curve.iloc[-1], 2),
                str(int(half.index[0])) if len(half) else "–",
                cells.number(last["cosine"].median(), 2),
                cells.from_to(tidy.of(sizes, component=component), "stable_rank", 1),
            )
        parts += [made, ""]
    return Group(*parts[:-1])
