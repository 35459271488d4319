"""How the answer of a question is shown that says nothing of it: its first number along the steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.kit import cells, theme, tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.answer import MORE, Answer, Scope, Section
from phasescope.reports.kit.panels import Panel, Part

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from phasescope.analyses import Question

_ROWS = 20
_EDGES = ("low", "high", "level")


def plain_answer(asked: Question) -> Answer:
    """A table in the terminal, and in the report a curve for each size, of the first of its tables."""
    main = asked.tables[0]
    return Answer(
        lambda tables: _view(asked, tables(main.name)), (Section(MORE, lambda about: list(_parts(asked, about))),)
    )


def _view(asked: Question, table: pd.DataFrame) -> RenderableType:
    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or f"{asked.name} has no rows."))
    left = f" {counted(len(table) - _ROWS, 'row')} more are in the table." if len(table) > _ROWS else ""
    names = [f">{name}" if table[name].dtype.kind in "iuf" else str(name) for name in table]
    made = cells.table(asked.tables[0].name, *names, caption=f"{asked.asks} From {asked.package}.{left}")
    for row in table.head(_ROWS).itertuples(index=False, name=None):
        made.add_row(*(cells.plain(f"{value:.4g}" if isinstance(value, float) else value) for value in row))
    return made


def _parts(asked: Question, about: Scope) -> Iterator[Part]:
    main = asked.tables[0]
    title, intro = asked.name.replace("_", " ").capitalize(), f"{asked.asks} From the package {asked.package}."
    try:
        table = about.run.table(main.name)
    except PhasescopeError as error:
        yield Part(asked.name, title, intro, notes=[str(error)])
        return
    value = next((name for name, kind in main.columns.items() if kind == "float64" and name not in _EDGES), None)
    if value is None or not {"size", "seed", "step"} <= set(table) or not table[value].notna().any():
        why = str(table.attrs.get("absent") or f"{counted(len(table), 'row')} in results/{main.name}.parquet.")
        yield Part(asked.name, title, intro, notes=[why])
        return
    edges = table if {"low", "high"} <= set(table) else table.assign(low=float("nan"), high=float("nan"))
    sizes = [size for size in about.sizes if tidy.of(edges, size=size)[value].notna().any()]
    unit = main.unit(value)
    axis = f"{value} ({unit})" if unit else value
    figure = along_training(
        {size: tidy.of(edges, size=size) for size in sizes}, (value, "low", "high"), axis, looks=theme.styles(sizes)
    )
    yield Part(asked.name, title, intro, [Panel(title, f"{main.about}; median over seeds.", figure, source=main.name)])
