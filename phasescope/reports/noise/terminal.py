"""What models were asked, in the terminal: noise, questions with options, early and late tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy
from phasescope.reports.noise.section import first_set, name_of
from phasescope.texts.made.noise import METHODS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def noise_table(noise: pd.DataFrame) -> RenderableType:
    """Per size and way of making text: perplexity along training, and how it stands to clean text at the end."""
    if noise.empty:
        return cells.plain(str(noise.attrs.get("absent") or "There is no corrupted text in this run."))
    shown = first_set(noise)
    made = cells.table(
        "Perplexity of corrupted and made-up text",
        "size",
        "text",
        ">first",
        "along",
        ">last",
        ">times clean",
        caption=f"{counted(int(shown['sequences'].max()), 'sequence')}; {tidy.over_seeds(shown)}; "
        f"[{tidy.level(shown)} interval]. "
        "Nucleus, greedy: decoded from the last small and large model, with these weights on their probabilities.",
    )
    ways = ["kind", "rate", "small_weight", "large_weight"]
    for size in dict.fromkeys(shown["size"]):
        for _, rows in pooled(tidy.of(shown, size=size)).groupby(ways, sort=False, dropna=False):
            kind, name = str(rows["kind"].iloc[0]), _name(rows)
            curve = rows.groupby("step")["perplexity"].median()
            last = rows[rows["step"] == rows["step"].max()].groupby("step").median(numeric_only=True).iloc[-1]
            edges = (
                f"{cells.short(last['ratio'])} [{cells.short(last['ratio_low'])}, {cells.short(last['ratio_high'])}]"
            )
            ratio = cells.plain("" if kind == "clean" else edges)
            ends = (cells.short(curve.iloc[0]), cells.short(curve.iloc[-1]))
            made.add_row(
                cells.plain(size), cells.plain(name), ends[0], cells.sparkline(curve, at_most=12), ends[1], ratio
            )
        made.add_section()
    return made


def _name(rows: pd.DataFrame) -> str:
    """`swap 10 %`, `greedy, large − small`."""
    kind, rate, small, large = rows[["kind", "rate", "small_weight", "large_weight"]].iloc[0]
    if kind in METHODS:
        return f"{kind}, {name_of(small, large)}"
    return str(kind).replace("_", " ") + (f" {100 * rate:g} %" if rate else "")
