"""The shape of activations, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

_SHOWN = {
    "participation_ratio": (">participation", 1),
    "intrinsic_dimension": (">TwoNN", 1),
    "anisotropy": (">anisotropy", 2),
    "gini": (">Gini", 2),
    "norm": (">norm", 1),
}


def geometry_table(table: pd.DataFrame) -> RenderableType:
    """Per size, component and layer: the measures at the first and at the last step, median over seeds."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "There are no activations in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(table["size"]):
        here = pooled(tidy.of(table, size=size))
        made = cells.table(
            f"{size}: the shape of activations",
            "site",
            *(title for title, _ in _SHOWN.values()),
            caption=f"First → last step; {cells.middle(tidy.of(table, size=size), '')}.",
        )
        for component in tidy.ordered_components(here["component"].unique()):
            mine = tidy.of(here, component=component)
            for layer in tidy.integers(mine["layer"]):
                rows = tidy.of(mine, layer=layer)
                numbers = (
                    cells.from_to(tidy.of(rows, measure=measure), "value", digits)
                    for measure, (_, digits) in _SHOWN.items()
                )
                made.add_row(f"L{layer}.{component}", *numbers)
            made.add_section()
        parts += [made, *map(cells.plain, tidy.reason_sentences(tidy.of(table, size=size))), ""]
    return Group(*parts[:-1])
