"""Where in the depth of the model layers settle, sizes compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.convergence import captions
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.convergence.settling_figures import settling_by_depth
from phasescope.reports.convergence.taus import tau_control
from phasescope.reports.kit import tidy
from phasescope.reports.kit.answer import Scope
from phasescope.reports.kit.compared import compared, trajectories
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.kit.tables import Tables

if TYPE_CHECKING:
    import pandas as pd


def depths_compared(about: Scope) -> Iterator[Part]:
    """Settling steps by depth, of all sizes."""
    control = tau_control(about.tables)
    panels = depth_panels(about.tables, about.sizes, control)
    yield from compared(panels, [control] if len(control.options) > 1 else [])


def depth_panels(tables: Tables, sizes: Sequence[str], control: Control) -> list[Panel]:
    known = trajectories(tidy.whole(tables["convergence"]), "cka")
    settling = tidy.whole(tables["settling"])
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
        if not any(median_settling(rows)["moved"].any() for _, rows in _of_tau(settling, float(tau))):
            return None
        return settling_by_depth(settling, component, tau=float(tau), sizes=sizes, steps=steps)

    if (figure := draw(control.options[0][0])) is None:
        return None
    others = variants([control], lambda tau: traces_of(drawn) if (drawn := draw(tau)) else None)
    caption = captions.depth(settling, component)
    return Panel(f"Settling of {component} by depth", caption, figure, ("tau",), others, source="settling")


def _of_tau(settling: pd.DataFrame, tau: float) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The rows of each size, seeds of which are put together."""
    yield from tidy.of(settling, tau=tau).groupby("size", sort=False, observed=True)
