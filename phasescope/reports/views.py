"""What a question's analysis found, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.answers import answer_named
from phasescope.reports.kit.cells import plain

if TYPE_CHECKING:
    from rich.console import RenderableType

    from phasescope.reports.kit.answer import TablesByName


def table_view(name: str, tables: TablesByName) -> RenderableType:
    """The view of a question of that name; `tables` gives a table by its name.

    Raises `PhasescopeError` where there is no such question, with the nearest.
    """
    answer = answer_named(name)
    return plain(f"{name} has no view: its tables are in results.") if answer is None else answer.view(tables)
