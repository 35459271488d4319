"""Phases in the terminal: the fitted curve in the colours of its phases, and a line for each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.kit import cells
from phasescope.reports.kit.cells import colour_of, step_text
from phasescope.reports.phases.chosen import summary_phases

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.text import Text

    from phasescope.analyses.phases.found import FoundPhases
    from phasescope.measures.phases import Boundary, Highest, Phases

_WIDTH = 12
# More curves than this are for --json.
_MOST = 60


def phases_table(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Of a run: the phases of the mean of the seeds, or of the only seed."""
    from phasescope.analyses.phases.found import phases_in_run

    phases = tables("phases")
    if phases.empty:
        return cells.plain(str(phases.attrs.get("absent") or "There are no phases of behaviour in this run."))
    shown = summary_phases(phases)
    return phases_view(phases_in_run(shown, tables("peaks")), _names(shown))


def phases_view(found: Sequence[FoundPhases], names: dict[Any, str] | None = None) -> RenderableType:
    """For each curve its phases and its peak.

    names: of phases that have one, by curve, size and number.
    """
    from rich.console import Group

    at_end = any(one.phases.peak is not None and one.phases.peak.at_end for one in found[:_MOST])
    left = f"{counted(len(found) - _MOST, 'more curve')}: --json has all." if len(found) > _MOST else ""
    table = cells.table(
        "Phases",
        "curve, phase",
        "fit",
        ">from – to",
        ">begins within",
        ">slope",
        caption="Fit: piecewise linear over log steps. Slope: per e-fold of steps."
        + (" Highest with +: at the last step." if at_end else ""),
    )
    few: list[str] = []
    for one in found[:_MOST]:
        label = ", ".join(_word(name, value) for name, value in one.group.items()) or "the curve"
        if not one.phases.phases:
            few.append(
                f"{label}: fewer than two steps have a value (for the mean of seeds: in every seed), so there is no "
                "phase: measure it at more steps."
            )
            continue
        key = (one.group.get("curve"), one.group.get("size"))
        _add(table, label, one.phases, {n: name for (*of, n), name in (names or {}).items() if tuple(of) == key})
        table.add_section()
    notes = [*few, *([left] if left else [])]
    return Group(*([table] if table.row_count else []), *map(cells.plain, notes))


def _names(phases: pd.DataFrame) -> dict[Any, str]:
    return {(row["curve"], row["size"], row["phase"]): row["name"] for row in phases.to_dict("records") if row["name"]}


def _word(name: str, value: Any) -> str:
    """A value alone where it says what it is."""
    return str(value) if isinstance(value, str) else f"{name} {'–' if value is None else value}"


def _add(table: Any, label: str, phases: Phases, names: dict[int, str]) -> None:
    table.add_row(cells.plain(label), _picture(phases), "", "", "")
    for number, phase in enumerate(phases.phases):
        begins = phases.boundaries[number - 1] if number else None
        # 80 columns have no room for both; what the label says, the sign of the slope and the colour say too.
        table.add_row(
            _coloured(f"  {names.get(number, phase.label)}", phase.label),
            "",
            f"{step_text(phase.start)} – {step_text(phase.end)}",
            _interval(begins) if begins else "",
            f"{phase.slope:+.3g}" if cells.known(phase.slope) else "–",
        )
    peak = phases.peak
    if peak is not None:
        at = f"{step_text(peak.step)}{'+' if peak.at_end else ''}"
        table.add_row("  highest", "", at, _interval(peak) if cells.known(peak.low) else "", "")


def _interval(place: Boundary | Highest) -> Text:
    return cells.plain(f"[{step_text(place.low)}, {step_text(place.high)}]")


def _picture(phases: Phases) -> Text:
    """The fitted curve at even places of the log-step axis, each block in the colour of its phase."""
    import numpy as np
    from rich.text import Text

    ends = np.array([phases.phases[0].start, *(phase.end for phase in phases.phases)])
    edges = np.log1p(ends / counting.current().scale)
    # What is called flat is drawn flat.
    slopes = [0.0 if phase.label == "flat" else phase.slope for phase in phases.phases]
    heights = np.concatenate([[0.0], np.cumsum(np.diff(edges) * slopes)])
    places = np.linspace(edges[0], edges[-1], _WIDTH)
    which = np.clip(np.searchsorted(edges, places, side="right") - 1, 0, len(phases.phases) - 1)
    made = Text()
    for block, number in zip(cells.sparkline(np.interp(places, edges, heights).tolist()), which, strict=True):
        made.append(block, style=colour_of(phases.phases[number].label))
    return made


def _coloured(text: str, label: str) -> Text:
    made = cells.plain(text)
    made.stylize(colour_of(label))
    return made
