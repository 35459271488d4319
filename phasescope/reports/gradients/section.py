"""What a report says of gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.gradients import captions
from phasescope.reports.gradients.figures import gradient_figure, gradient_norm_figure
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.bands import behind_wordless
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.phases.bands import with_bands

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_TITLE, _KEY = "Gradients", "gradients"
_INTRO = (
    "What the training loss asks of the weights, with the weights of each checkpoint held still: how much, in how many "
    "directions, and whether one batch asks the same as the next."
)
# In the order in which a reader may choose them: first what writes into the residual stream.
_COMPONENTS = ("W_out", "out_proj", "OV", "QK", "W_in", "in_proj", "W_gate", "W_O", "W_V", "W_Q", "W_K")
_PANELS = {
    "ratio": "Gradient against weight",
    "proportional": "Effective rank of the gradient",
    "cosine": "Cosine with the batch before",
    "cosine_previous": "Cosine with the checkpoint before",
}


def gradients_parts(size: str, tables: Tables, seeds: Sequence[int]) -> list[Part]:
    """The part about gradients of one size; none where no gradients were captured.

    Args:
        tables: the rows of that size.
        seeds: all seeds of the run, so that each keeps its colour.
    """
    table, missing = tables["gradients"], tables.why("gradients")
    if table.empty and not missing:
        return []
    if why := no_trajectory(table, "norm", "gradient norms", missing):
        return [Part(_KEY, _TITLE, _INTRO, notes=[why])]
    figure = gradient_norm_figure(table, size, seeds=seeds)
    panels = [Panel("Norm over all parameters", captions.gradient_norm(table), figure, source="gradients")]
    layered = table[table["layer"].notna()]
    parts = {name: layered[layered["component"] == name] for name in _components(layered)}
    control = Control("matrix", "Matrix", [(name, name) for name in parts])
    for value, title in _PANELS.items():
        drawn = {name: made for name, part in parts.items() if (made := _drawn(size, part, name, value))}
        if control.options and (first := drawn.get(control.options[0][0])):
            others = variants([control], lambda name, drawn=drawn: traces_of(drawn[name]) if name in drawn else None)
            panels.append(
                Panel(title, captions.gradients(table, value), first, ("matrix",), others, source="gradients")
            )
    panels = [with_bands(panel, tables, behind_wordless) for panel in panels]
    return [Part(_KEY, _TITLE, _INTRO, panels, controls=[control] if len(control.options) > 1 else [])]


def _components(table: pd.DataFrame) -> list[str]:
    present = set(table["component"])
    return [name for name in _COMPONENTS if name in present] + sorted(present - set(_COMPONENTS))


def _drawn(size: str, table: pd.DataFrame, component: str, value: str) -> Drawing | None:
    """The figure of one matrix; None where it has no such value."""
    return gradient_figure(table, size, component, value) if table[value].notna().any() else None
