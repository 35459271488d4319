"""What probes find, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from rich.console import RenderableType


def probing_table(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Per size, label, component and layer: the curve along training, and the last step beside what fools a probe."""
    from rich.console import Group

    table = tables("probing")
    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "Nothing was probed in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(table["size"]):
        here = pooled(tidy.of(table, size=size))
        parts += [_of_label(size, label, tidy.of(here, label=label)) for label in dict.fromkeys(here["label"])]
    caption = (
        "Accuracy at the last step on sequences that the probe has not seen; selectivity: less that of random classes, "
        f"one for each type of word; bits: per label, in the online code. {cells.middle(table, '')}, outermost ends of "
        f"{tidy.level(table)} intervals."
    )
    return Group(*parts, cells.plain(caption), *map(cells.plain, tidy.reason_sentences(table)))


def _of_label(size: str, label: str, here: pd.DataFrame) -> RenderableType:
    majority, uniform = here["majority"].iloc[0], here["uniform_bits"].iloc[0]
    made = cells.table(
        f"{size}: a linear probe for {label}",
        "site",
        "along",
        ">accuracy",
        ">selectivity",
        ">bits",
        caption=f"{int(here['classes'].iloc[0])} classes; the most frequent alone: {cells.number(majority, 2)}; all "
        f"alike: {cells.number(uniform, 2)} bits.",
    )
    for component in tidy.ordered_components(here["component"]):
        rows = tidy.of(here, component=component)
        for layer in tidy.integers(rows["layer"]):
            made.add_row(f"L{layer}.{component}", *_numbers(tidy.of(rows, layer=layer)))
    return made


def _numbers(rows: pd.DataFrame) -> list[RenderableType]:
    last = rows[rows["step"] == rows["step"].max()]
    middle = last[["accuracy", "selectivity", "bits"]].median()
    return [
        cells.sparkline(rows.groupby("step")["accuracy"].median(), 0, 1),
        cells.with_interval(middle["accuracy"], *tidy.outermost(rows)),
        cells.with_interval(middle["selectivity"], *tidy.outermost(rows, "selectivity_low", "selectivity_high")),
        cells.number(middle["bits"], 2),
    ]
