"""Similarity in the terminal: along training, and layers by layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy
from phasescope.reports.kit.along_steps import StepCells, picture
from phasescope.reports.similarity.words import MEASURES, RELATIONS, bounds, map_title

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_WIDTH, _MOST = 24, 12
_ASKED = "asked for"


def similarity_view(means: pd.DataFrame, maps: pd.DataFrame, table: pd.DataFrame) -> RenderableType:
    """Per size and measure a line for each relation; then the maps that were asked for, or one of each size."""
    from rich.console import Group

    if means.empty and maps.empty and not tidy.reasons(table):
        return cells.plain(str(means.attrs.get("absent") or "There is nothing to compare in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(means["size"]):
        parts += [*(_lines(rows, size) for rows in _by(tidy.of(means, size=size), "measure", MEASURES)), ""]
    asked = maps[maps["map"] == _ASKED]
    shown = asked if len(asked) else maps[maps["map"] == "last step"]
    for _, rows in shown.groupby(["size", "seed", "step", "other_size", "other_seed", "other_step"], sort=False):
        component = tidy.ordered_components(rows["component"].unique())[-1]
        rows = tidy.of(rows, component=component)
        parts += [_grid(rows if len(asked) else _first_measure(rows)), ""]
    parts += map(cells.plain, tidy.reason_sentences(table))
    return Group(*parts)


def _by(table: pd.DataFrame, column: str, order: dict[str, str]) -> list[pd.DataFrame]:
    return [tidy.of(table, **{column: name}) for name in order if (table[column] == name).any()]


def _first_measure(rows: pd.DataFrame) -> pd.DataFrame:
    return tidy.of(rows, measure=next(name for name in MEASURES if name in set(rows["measure"])))


def _lines(rows: pd.DataFrame, size: str) -> Table:
    measure = str(rows["measure"].iloc[0])
    steps = StepCells(tidy.integers(rows["step"]), _WIDTH)
    low, high = bounds(measure)
    lines: list[tuple[str, Text, object]] = []
    for mine in _by(rows, "relation", RELATIONS):
        curve = tidy.across_seeds(mine, "value", "low", "high").dropna(subset="value")
        if curve.empty:
            continue
        values = dict(zip(curve["step"].tolist(), curve["value"].tolist(), strict=True))
        null = mine[mine["step"] == mine["step"].max()]["shuffled"].median()
        told = f"{curve['value'].iloc[0]:.2f} → {curve['value'].iloc[-1]:.2f}"
        told += f" (null {round(null, 2) + 0:.2f})" if cells.known(null) else " (no null)"
        lines.append((RELATIONS[str(mine["relation"].iloc[0])].lower(), steps.curve(values, low, high), told))
    lines.append(("step", steps.ticks(), ""))
    caption = f"Mean over sites, {cells.middle(pooled(rows), '')}; null: samples that do not match."
    return picture(f"{size}: {MEASURES[measure]}, first → last step", lines, caption)


def _grid(rows: pd.DataFrame) -> RenderableType:
    """Numbers of hundredths, layer by layer; of many layers every so manieth."""
    from rich.console import Group

    made = []
    for mine in _by(rows, "measure", MEASURES):
        wide = mine.pivot_table(index="layer", columns="other_layer", values="value", dropna=False).sort_index(
            ascending=False
        )
        wide = wide.iloc[:: -(-len(wide) // _MOST), :: -(-wide.shape[1] // _MOST)]
        title = f"{map_title(mine)}: {MEASURES[str(mine['measure'].iloc[0])]}, {mine['component'].iloc[0]}"
        grid = cells.table(title, "", *(f">L{layer}" for layer in wide.columns))
        for layer, values in zip(wide.index, wide.to_numpy().tolist(), strict=True):
            grid.add_row(f"L{layer}", *(_hundredths(value) for value in values))
        made.append(grid)
    return Group(*made)


def _hundredths(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if value == value else "–"
