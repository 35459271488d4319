"""Benchmarks along training: one small figure for each task, all with the same steps below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd

_HIGH = 150  # pixels of one small figure, with its title
_GAP = 0.06  # between columns, of the width


def evaluations_figure(table: pd.DataFrame, tasks: Mapping[str, str], sizes: Sequence[str], across: int = 3) -> Drawing:
    """A small figure for each task: the median over seeds with their range, or one seed with its interval.

    Args:
        table: columns label, metric, size, seed, step, value, low, high; of each label one metric.
        tasks: the labels, in the order in which they are drawn, and what stands above each.
        sizes: all sizes of the run, so that a size has one colour in every figure.
        across: how many stand side by side.

    Raises:
        ValueError: there are no tasks.
    """
    if not len(tasks):
        raise ValueError("no tasks")
    looks = theme.styles(sizes)
    # Marks on every step would hide such small curves.
    traces: list[Trace] = []
    named: set[str] = set()
    for place, task in enumerate(tasks, start=1):
        here = tidy.of(table, label=task)
        cell = _curves(here, looks, named) if len(here) else [_absent()]
        for trace in cell:
            told = {"meta": {**trace["meta"], "part": task}} if "meta" in trace else {}
            trace |= {"xaxis": _axis("x", place), "yaxis": _axis("y", place), **told}
        traces += cell
    steps = tidy.integers(table["step"])
    height = 70 + _HIGH * -(-len(tasks) // across)
    return theme.figure(
        bands_behind(traces), height, **_cells(tasks, steps, height, across), showlegend=table["size"].nunique() > 1
    )


def _curves(table: pd.DataFrame, looks: dict[str, theme.Style], named: set[str]) -> list[Trace]:
    curves: list[Trace] = []
    for size, look in looks.items():
        mine = tidy.of(table, size=size)
        if mine.empty:
            continue
        curve = tidy.across_seeds(mine, "value", "low", "high")
        made = step_curve(curve, theme.plain(size), look, unit=f" {theme.plain(mine['metric'].iloc[0])}")
        line, marker = {**made[-1]["line"], "width": 1.5}, {**made[-1]["marker"], "size": 3}
        made[-1] |= {"line": line, "marker": marker, "showlegend": size not in named}
        named.add(size)
        curves += made
    return curves


def _axis(name: str, place: int) -> str:
    """How a trace calls its axis: the first has no number."""
    return name if place == 1 else f"{name}{place}"


def _absent() -> Trace:
    return scatter(x=[], y=[], showlegend=False)


def _cells(tasks: Mapping[str, str], steps: list[int], height: int, across: int) -> dict[str, Any]:
    """Axes and titles of the grid, from the top left."""
    rows = -(-len(tasks) // across)
    width, gap = (1 - _GAP * (across - 1)) / across, 48 / (height - 68)
    high = (1 - gap * rows) / rows
    layout: dict[str, Any] = {"annotations": []}
    small = {"tickfont": {"size": 10}}
    for place, (task, title) in enumerate(tasks.items()):
        row, column = divmod(place, across)
        left, top = column * (width + _GAP), 1 - row * (high + gap) - gap / 2
        below = place + across >= len(tasks)  # nothing is under it, so that the steps are written here
        axis = {**steps_axis.axis(steps, at_most=6), **small, "title": {"text": "step" if below else ""}}
        name = "" if place == 0 else str(place + 1)
        layout[f"xaxis{name}"] = axis | {
            "domain": [left, left + width],
            "anchor": f"y{name}",
            "showticklabels": below,
        }
        layout[f"yaxis{name}"] = small | {
            "domain": [max(top - high, 0), top],
            "anchor": f"x{name}",
            "nticks": 4,
            "automargin": False,
        }
        layout["annotations"].append(
            {
                "text": theme.plain(_short(title)),
                "x": left,
                "y": top,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12},
                "hovertext": theme.plain(task),
            }
        )
    return layout  # fmt: skip


def _short(title: str) -> str:
    """What fits above a small figure; the whole name is told when the pointer is on it."""
    return title if len(title) <= 38 else f"{title[:17]}…{title[-20:]}"
