"""Sizes side by side: behaviour, and where in the depth of the model layers settle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports import captions, figures, tidy
from phasescope.reports.drawing import Drawing
from phasescope.reports.heuristics import agreement_panel
from phasescope.reports.panels import Control, Panel, Part, tau_control, traces_of, variants
from phasescope.reports.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

_TITLE, _KEY = "Sizes compared", "compare"


def comparison(tables: Tables, sizes: Sequence[str]) -> Part:
    """The part of the page that sets all sizes, two or more, side by side."""
    panels: list[Panel] = []
    surprisal = _trajectories(tables.surprisal, "surprisal")
    if surprisal["size"].nunique() > 1:
        panels.append(
            Panel("Surprisal", captions.sizes(surprisal), figures.sizes_figure(surprisal, sizes), source="surprisal")
        )
    kl = _trajectories(tables.seeds, "kl")
    if kl["size"].nunique() > 1:
        panels.append(
            Panel("KL between seeds", captions.kl(kl), figures.kl_figure(kl, sizes, all_sizes=sizes), source="seeds")
        )
    if alike := agreement_panel(tables, sizes):
        panels.append(alike)
    control = tau_control(tables)
    panels += _depths(tables, sizes, control)
    notes = [] if panels else ["No two sizes have more than one step of the same measure, so none are compared."]
    intro = "The same step axis and colours for all sizes."
    wanted = [control] if any(panel.controls for panel in panels) and len(control.options) > 1 else []
    return Part(_KEY, _TITLE, intro, panels, notes=notes, controls=wanted)


def _trajectories(table: pd.DataFrame, value: str) -> pd.DataFrame:
    """The rows of sizes that have the value at two steps or more."""
    known = table[table[value].notna()]
    steps = known.groupby("size")["step"].nunique()
    return known[known["size"].isin(steps[steps > 1].index)]


def _depths(tables: Tables, sizes: Sequence[str], control: Control) -> list[Panel]:
    known = _trajectories(tidy.whole(tables.convergence), "cka")
    settling = tidy.whole(tables.settling)
    panels = []
    for component in tidy.ordered_components(known["component"].unique()):
        present = known[known["component"] == component]["size"].unique()
        mine = settling[(settling["component"] == component) & settling["size"].isin(present)]
        if mine["size"].nunique() < 2 or mine.groupby("size")["layer"].nunique().max() < 2:
            continue
        if panel := _depth_panel(component, mine, sizes, tidy.integers(known["step"]), control):
            panels.append(panel)
    return panels


def _depth_panel(
    component: str, settling: pd.DataFrame, sizes: Sequence[str], steps: list[int], control: Control
) -> Panel | None:
    """None where no layer of any size was seen to settle at the τ that is shown first."""

    def draw(tau: str) -> Drawing | None:
        if not any(tidy.median_settling(rows)["moved"].any() for _, rows in _of_tau(settling, float(tau))):
            return None
        return figures.settling_by_depth(settling, component, tau=float(tau), sizes=sizes, steps=steps)

    if (figure := draw(control.options[0][0])) is None:
        return None
    others = variants([control], lambda tau: traces_of(drawn) if (drawn := draw(tau)) else None)
    caption = captions.depth(settling, component)
    return Panel(f"Settling of {component} by depth", caption, figure, ("tau",), others, source="settling")


def _of_tau(settling: pd.DataFrame, tau: float) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each size, seeds of which are put together."""
    yield from tidy.of(settling, tau=tau).groupby("size", sort=False, observed=True)
