"""What becomes of tokens along training, and whether sizes line up at the same perplexity, in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled, pooled_seeds
from phasescope.reports.kit import cells, tidy
from phasescope.reports.trajectories.section import NO_TRAJECTORIES

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

_CLASSES = ("decreasing", "stagnating", "fluctuating", "double descent", "increasing")


def trajectories_view(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Shares of classes, agreement of sizes and seeds about them, and distances at the same perplexity."""
    from rich.console import Group

    if tables("trajectories").empty:
        return cells.plain(NO_TRAJECTORIES)
    parts = [_shares(tables("trajectories")), _agreement(tables("class_agreement")), _aligned(tables("size_alignment"))]
    return Group(*(part for part in parts if part is not None))


def _shares(table: pd.DataFrame) -> RenderableType:
    known = table[table["share"].notna()]
    if known.empty:
        return cells.plain(f"No token has a class: {tidy.listing(list(dict.fromkeys(table['reason'])), at_most=2)}.")
    seeds = pooled_seeds(known)
    short = f"; {told}" if (told := left_out(known)) else ""
    half = 100 * ((known["high"] - known["low"]) / 2).max()
    sure = f" {tidy.level(known)} intervals: ± {half:.1f} at most." if half == half else ""
    without = table.loc[table["reason"] != "", "percent"]
    few = f" Too few checkpoints for a trend from {without.min()} % on." if len(without) else ""
    made = cells.table(
        "Classes of tokens, from so much of training on (%)",
        "size",
        ">after",
        *(f">{name}" for name in _CLASSES),
        caption=f"{'Mean of ' + str(seeds) + ' seeds' if seeds > 1 else 'One seed'}{short}.{sure}{few}",
    )
    for size in dict.fromkeys(known["size"]):
        of_size = pooled(tidy.of(known, size=size))
        for percent in tidy.integers(of_size["percent"]):
            share = tidy.of(of_size, percent=percent).groupby("class")["share"].mean()
            made.add_row(cells.plain(size), f"{percent} %", *(cells.number(100 * share[name], 1) for name in _CLASSES))
        made.add_section()
    return made


def _agreement(table: pd.DataFrame) -> RenderableType | None:
    known = table[table["kappa"].notna()]
    if known.empty:
        return None
    first, last = (int(edge) for edge in (known["percent"].min(), known["percent"].max()))
    title = "The same tokens elsewhere: agreement of classes (Cohen's κ)"
    made = cells.table(title, "", "seeds", f">after {first} %", f">after {last} %")
    for (a, b, seeds), rows in known.groupby(["size_a", "size_b", "seeds"], sort=False):
        numbers = []
        for percent in (first, last):
            row = tidy.of(rows, percent=percent)
            one = None if row.empty else row.iloc[0]
            numbers.append("–" if one is None else cells.with_interval(one["kappa"], one["low"], one["high"]))
        made.add_row(cells.plain(f"within {a}" if a == b else f"{a} – {b}"), str(seeds), *numbers)
    return made


def _aligned(table: pd.DataFrame) -> RenderableType | None:
    if table.empty:
        return None
    made = cells.table(
        "How far apart sizes are at the same perplexity",
        "measure",
        "sizes",
        ">distance",
        ">of that at a step",
        ">p",
        caption="p: one-sided, that sizes are no closer at the same perplexity than at the same step.",
    )
    for row in table[table["reason"] == ""].itertuples():
        ratio = cells.with_interval(row.ratio, row.ratio_low, row.ratio_high)
        sizes = cells.plain(f"{row.size_a} – {row.size_b}")
        name = str(row.measure).removeprefix("surprisal of ")
        made.add_row(name, sizes, cells.number(row.distance), ratio, cells.number(row.p_value))
    reasons = dict.fromkeys(table.loc[table["reason"] != "", "reason"])
    return _with_notes(made if made.row_count else None, [f"{reason[0].upper()}{reason[1:]}." for reason in reasons])


def _with_notes(table: RenderableType | None, notes: list[str]) -> RenderableType:
    from rich.console import Group

    return Group(*([] if table is None else [table]), *map(cells.plain, notes))
