"""Nearest neighbours, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

_SHOWN = {"last": ">last step", "previous": ">step before", "seeds": ">other seeds"}


def neighbours_table(table: pd.DataFrame) -> RenderableType:
    """Per size and site: the share of neighbours in common at the first and at the last step, median over seeds."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "There are no activations in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(table["size"]):
        here = tidy.of(table, size=size)
        made = cells.table(
            f"{size}: nearest neighbours in common with",
            "site",
            *_SHOWN.values(),
            ">chance",
            caption=f"First → last step, of {int(here['k'].max())} neighbours; {cells.middle(here, '')}.",
        )
        kept = pooled(here)
        for component in tidy.ordered_components(kept["component"].unique()):
            mine = tidy.of(kept, component=component)
            for site in dict.fromkeys(mine.sort_values("layer", kind="stable")["site"]):
                rows = tidy.of(mine, site=site)
                layer = rows["layer"].iloc[0]
                numbers = (cells.from_to(tidy.of(rows, against=name), "overlap", 2) for name in _SHOWN)
                name = f"L{layer}.{component}" if cells.known(layer) else component
                made.add_row(name, *numbers, cells.number(rows["shuffled"].mean(), 2))
            made.add_section()
        parts += [made, *map(cells.plain, tidy.reason_sentences(tidy.of(table, size=size))), ""]
    return Group(*parts[:-1])
