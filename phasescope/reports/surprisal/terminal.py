"""Surprisal in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def surprisal_table(surprisal: pd.DataFrame) -> RenderableType:
    """Per size and seed: surprisal at the first and the last step, beside the unigram's."""
    if surprisal.empty:
        return cells.nothing("surprisal")
    table = cells.table(
        "Surprisal (nats per token)",
        "size",
        ">seed",
        ">first",
        "along",
        f">last [{tidy.level(surprisal)}]",
        ">unigram",
        ">perplexity",
        caption=cells.steps_caption(surprisal["step"]),
    )
    for size in dict.fromkeys(surprisal["size"]):
        for seed in tidy.integers(tidy.of(surprisal, size=size)["seed"]):
            curve = tidy.of(surprisal, size=size, seed=seed).sort_values("step")
            first, last = curve.iloc[0], curve.iloc[-1]
            table.add_row(
                cells.plain(size),
                str(seed),
                cells.number(first["surprisal"], 2),
                cells.sparkline(curve["surprisal"]),
                cells.with_interval(last["surprisal"], last["low"], last["high"]),
                cells.number(last["unigram"], 2),
                cells.number(last["perplexity"], 1) if "perplexity" in curve else "",
            )
        table.add_section()
    return table
