"""A run as it is shown: its tables in what is counted, be it tokens instead of steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from phasescope import counting
from phasescope.analyses import tables_there_are
from phasescope.reports.kit.tokens_read import counting_of

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import RunLike


class Shown:
    """All that a run has, but tables as they are shown."""

    def __init__(self, run: RunLike) -> None:
        self._run = run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    def table(self, name: str) -> pd.DataFrame:
        """The table of that name, its steps in what is counted."""
        return as_shown(name, self._run.table(name))


@contextmanager
def shown(run: RunLike, axis: str | None = None) -> Iterator[RunLike]:
    """The run as it is shown; what is drawn and told inside counts what `axis` says (see `counting_of`)."""
    with counting.showing(counting_of(run.manifest, axis)):
        yield cast("RunLike", Shown(run))


def as_shown(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """A table of that name with its steps in what is counted here."""
    return counting.current().table(table, columns_of_steps(name))


def columns_of_steps(name: str) -> list[str]:
    """The columns of a table that hold steps; of measures of one's own, which declare none, `step`."""
    found = tables_there_are().get(name)
    if found is None:
        return ["step"]
    columns, units = found[1].columns, found[1].units
    whole = [column for column, kind in columns.items() if "int" in kind.lower()]
    steps = [column for column in whole if column == "step" or column.endswith("_step")]
    return list(dict.fromkeys([*steps, *units.get("steps", "").split()]))
