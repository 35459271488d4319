"""The part of a report that sets all sizes, two or more, side by side: several questions give it figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit.panels import Control, Panel, Part

if TYPE_CHECKING:
    import pandas as pd

_TITLE, _KEY = "Sizes compared", "compare"


def compared(panels: Sequence[Panel], controls: Sequence[Control] = ()) -> Iterator[Part]:
    """Figures for that part; none if there are none."""
    if panels:
        yield Part(_KEY, _TITLE, "The same step axis and colours for all sizes.", panels, controls=controls)


def nothing_compared() -> Part:
    """The part where no question gave it a figure."""
    intro = "The same step axis and colours for all sizes."
    why = "No two sizes have more than one step of the same measure, so none are compared."
    return Part(_KEY, _TITLE, intro, notes=[why])


def trajectories(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """The rows of sizes that have the value at two steps or more."""
    known = table[table[value].notna()]
    steps = known.groupby("size")["step"].nunique()
    return known[known["size"].isin(steps[steps > 1].index)]
