"""A measure of one's own in the terminal: one line for each site, from the first step to the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.cells import number, plain, sparkline, table

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def measured_view(name: str, measured: pd.DataFrame) -> RenderableType:
    """A table as `run.map` gives it: median over seeds and heads of each layer along the steps."""
    steps = tidy.integers(measured["step"])
    caption = f"median over seeds; {counting.noun()}s {counting.label(steps[0])} to {counting.label(steps[-1])}"
    if note := str(measured.attrs.get("note", "")):
        caption = f"{caption}. {note}"
    missing = measured[measured["value"].isna()]
    if len(missing):
        caption += f". {len(missing)} of {len(measured)} are missing: {'; '.join(tidy.reasons(measured)[:3])}"
    made = table(name, "size", "site", "quantity", "along the steps", ">first", ">last", caption=caption)
    keys = ["size", "component", "quantity"]
    for (size, component, quantity), rows in measured.groupby(keys, sort=False):
        whole = tidy.whole(rows)
        grid = tidy.grid(rows if whole.empty else whole, "value", digits=6)
        for (layer, _), values in zip(grid.rows, grid.values, strict=True):
            ends = (number(values[0]), number(values[-1]))
            made.add_row(plain(size), plain(f"L{layer}.{component}"), plain(quantity), sparkline(values), *ends)
    return made
