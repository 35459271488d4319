"""The phases of a size behind its other figures, and what the bands mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.answer import Legend
from phasescope.reports.kit.bands import above, behind, strong_fill
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Panel
from phasescope.reports.phases.chosen import band_phases, begins, curve_name

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables


def phase_legend(tables: Tables) -> Legend | None:
    """What the bands mean, by name; None where there are none. `tables` of one size."""
    curve, phases = band_phases(tables)
    if not curve:
        return None
    rows = phases.sort_values("start").to_dict("records")
    named = [
        (
            strong_fill(row),
            f"{row['name'] or row['label']}, from "
            + ("the first step" if number == 0 else f"{counting.noun()} {begins(row)}"),
        )
        for number, row in enumerate(rows)
    ]
    return Legend(f"Bands in the figures: phases of {curve_name(curve)} ({tidy.level(phases)} intervals)", named)


def with_bands(panel: Panel, tables: Tables, place: Callable[[Drawing, pd.DataFrame], Drawing] = behind) -> Panel:
    """The panel with the phases of its size behind the curves, and a caption that says so."""
    curve, phases = band_phases(tables)
    if not curve:
        return panel
    where = "Strip and dotted lines" if place is above else "Bands"
    caption = f"{panel.caption} {where}: phases of {curve_name(curve)} (orange rises, blue falls)."
    return replace(panel, caption=caption, figure=place(panel.figure, phases))
