"""KL between seeds in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def seeds_table(seeds: pd.DataFrame) -> RenderableType:
    """Per size: expected KL between seeds, first, at its peak, and last."""
    known = seeds[seeds["kl"].notna()]
    if known.empty:
        return cells.nothing("KL between seeds: it needs two or more seeds of one size, captured without --remote")
    table = cells.table(
        "Expected KL between seeds (nats per token)",
        "size",
        ">seeds",
        ">first",
        "along",
        ">peak",
        f">at {counting.noun()}",
        f">last [{tidy.level(known)} interval]",
        caption=cells.steps_caption(known["step"]),
    )
    for size in dict.fromkeys(known["size"]):
        curve = tidy.of(known, size=size).sort_values("step")
        last, peak = curve.iloc[-1], curve.iloc[int(curve["kl"].argmax())]
        table.add_row(
            cells.plain(size),
            str(int(last["seeds"])),
            cells.number(curve["kl"].iloc[0]),
            cells.sparkline(curve["kl"], low=0),
            cells.number(peak["kl"]),
            counting.label(peak["step"]),
            cells.with_interval(last["kl"], last["low"], last["high"], 3),
        )
    return table
