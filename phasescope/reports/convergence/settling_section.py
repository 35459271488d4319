"""The part of a report about when layers settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.convergence import captions
from phasescope.reports.convergence.absent import no_cka
from phasescope.reports.convergence.settling_figures import settling_figure
from phasescope.reports.convergence.taus import tau_control
from phasescope.reports.kit import tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.bands import behind_wordless
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.kit.tables import Tables
from phasescope.reports.phases.bands import with_bands

if TYPE_CHECKING:
    import pandas as pd


def settling_part(size: str, tables: Tables, seeds: Sequence[int]) -> Part:
    title, key = "When layers settle", "settling"
    intro = "The first step from which a layer stays close to its final state."
    why = no_trajectory(tables["convergence"], "cka", "CKA", tables.why("settling"))
    if why or tables["settling"].empty:
        return Part(key, title, intro, notes=[why or f"No settling steps were computed for {size}."])
    steps = tidy.integers(tables["convergence"]["step"])
    control = tau_control(tables)
    panels, notes = [], []
    for component in tidy.ordered_components(tables["settling"]["component"].unique()):
        mine = tidy.of(tables["settling"], component=component)
        measured = tidy.of(tidy.whole(tables["convergence"]), component=component)["cka"].notna().any()
        if measured and len(tidy.whole(mine)):
            panels.append(
                with_bands(_settling_panel(size, component, mine, steps, seeds, control), tables, behind_wordless)
            )
        else:
            notes.append(no_cka(component, tidy.of(tables["convergence"], component=component)))
    return Part(
        key, title, intro, panels, notes=notes, controls=[control] if panels and len(control.options) > 1 else []
    )


def _settling_panel(
    size: str, component: str, table: pd.DataFrame, steps: list[int], seeds: Sequence[int], control: Control
) -> Panel:
    def draw(tau: str) -> Drawing:
        return settling_figure(table, size, component, tau=float(tau), steps=steps, seeds=seeds)

    figure = draw(control.options[0][0])
    others = variants([control], lambda tau: traces_of(draw(tau)))
    return Panel(component, captions.settling(table, component), figure, ("tau",), others, source="settling")
