"""Phases that a reader would look up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.answer import Lookup
from phasescope.reports.kit.cells import step_text
from phasescope.reports.phases.chosen import band_phases

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables


def phases_lookup(size: str, tables: Tables) -> Iterator[Lookup]:
    """Those that lie behind the figures of the size, if any do."""
    curve, phases = band_phases(tables)
    if not curve:
        return
    rows = [
        (step_text(row["start"]), step_text(row["end"]), row["name"] or row["label"],
         f"[{step_text(row['start_low'])}, {step_text(row['start_high'])}]")
        for row in phases.sort_values("start").to_dict("records")
    ]  # fmt: skip
    header = (f"from {counting.noun()}", f"to {counting.noun()}", "phase", "interval of the start")
    yield Lookup(f"Phases of {size}", f"{curve}; {tidy.level(phases)} intervals", header, rows)
