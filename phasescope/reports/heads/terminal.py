"""What heads look at, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from rich.console import RenderableType
    from rich.text import Text

# More heads of a seed than this are a table, not a screen.
_MOST_HEADS = 8


def heads_view(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Per size and seed: the strongest induction head along training, and when each induction head forms."""
    from rich.console import Group

    repetition, bumps = tables("repetition"), tables("induction_heads")
    if repetition.empty:
        return cells.plain(str(repetition.attrs.get("absent") or "No heads were scored in this run."))
    return Group(_strongest(repetition), "", _formed(bumps))


def _strongest(repetition: pd.DataFrame) -> RenderableType:
    made = cells.table(
        "Random tokens read twice: the strongest induction head",
        "size",
        ">seed",
        "along",
        ">last",
        "head",
        ">worth (nats)",
        caption="Share of attention beyond that of twins that repeat nothing, from 0 to 1; worth: by how much less "
        "surprising the repeated half is at the last step. "
        f"{counted(int(repetition['sequences'].max()), 'sequence')}; [{tidy.level(repetition)} interval].",
    )
    for (size, seed), rows in repetition.groupby(["size", "seed"], sort=False):
        curve = rows.sort_values("step")
        last = curve.iloc[-1]
        made.add_row(
            cells.plain(size),
            str(seed),
            cells.sparkline(curve["strongest"], 0, 1),
            cells.with_interval(last["strongest"], last["strongest_low"], last["strongest_high"]),
            f"L{last['layer']}.{last['head']}",
            cells.with_interval(last["gain"], last["low"], last["high"]),
        )
    return made


def _formed(bumps: pd.DataFrame) -> RenderableType:
    made = cells.table(
        "When induction heads form",
        "size",
        ">seed",
        "head",
        f">forms at {counting.noun()}",
        ">rises from",
        ">to",
        ">highest",
        caption="Forms: where a head first attends by induction half as much as it ever will. Rises: the phase "
        f"in which that lies, if one is told. [{tidy.level(bumps)} interval]",
    )
    for (size, seed), rows in bumps.groupby(["size", "seed"], sort=False):
        ordered = rows.sort_values("highest", ascending=False, kind="stable")
        whole = ordered["head"].isna()
        kept = [*ordered[whole].to_dict("records"), *ordered[~whole].head(_MOST_HEADS).to_dict("records")]
        for row in kept:
            named = f"L{row['layer']}.{row['head']}" if cells.known(row["head"]) else "strongest"
            made.add_row(
                cells.plain(size),
                str(seed),
                named,
                _steps(row, "forms_step", "low", "high") if not row["reason"] else "none",
                _steps(row, "start", "start_low", "start_high"),
                _steps(row, "end", "end_low", "end_high"),
                cells.number(row["highest"], 2),
            )
        if (left := int((~whole).sum()) - _MOST_HEADS) > 0:
            made.add_row("", "", f"and {left} more")
    return made


def _steps(row: Mapping[Any, Any], middle: str, low: str, high: str) -> Text | str:
    """`512 [256, 1000]`, or `–` where there is none."""
    if not cells.known(row[middle]):
        return "–"
    at, *edges = (cells.step_text(float(row[name])) for name in (middle, low, high))
    return cells.plain(f"{at} [{', '.join(edges)}]")
