"""Phases as bands of colour behind any curve along the step axis, their boundaries with whiskers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    import pandas as pd

# By the last word of a label; told apart by colour-blind readers, and faint on white and on black.
_FILLS = {"rising": theme.QUALITATIVE[1], "falling": theme.QUALITATIVE[0]}
_SHARP, _SLOW = 0.17, 0.08
# Narrower bands, as a share of the axis, have no room for a word.
_ROOM = 0.09
# Of phases above cells: the height of the strip in pixels, and lines that are seen on dark and on light cells.
_STRIP = 8
_STRONG = (0.85, 0.45)
_ON_CELLS = {"color": "white", "width": 1.2, "dash": "dot"}


def phase_bands(phases: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """What a layout needs to show phases behind its curves: `theme.figure(..., **phase_bands(phases))`.

    Rising is orange and falling blue, stronger where sharp; flat and undetermined have no colour. A dotted line is a
    boundary, the bar at its top the interval. A phase that has a name is called by it, else by its label.

    Args:
        phases: columns start, end, start_low, start_high, label, name, of one curve, in order.

    Returns:
        `shapes` and `annotations`; both empty where there are no phases.
    """
    rows = phases.sort_values("start").to_dict("records")
    if not rows:
        return {"shapes": [], "annotations": []}
    left, right = (steps_axis.position(rows[edge][side]) for edge, side in ((0, "start"), (-1, "end")))
    shapes = [shape for number, row in enumerate(rows) for shape in _shapes(row, first=number == 0)]
    words = [_word(row) for row in rows if _width(row) >= _ROOM * max(right - left, 1e-9)]
    return {"shapes": shapes, "annotations": words}


def behind(figure: Drawing, phases: pd.DataFrame) -> Drawing:
    """The figure, whose x-axis is of steps, with phases as bands behind its curves; `phases` as for `phase_bands`."""
    return _with(figure, phase_bands(phases))


def behind_wordless(figure: Drawing, phases: pd.DataFrame) -> Drawing:
    """The same without words, which would stand among dots, or curves that may run anywhere."""
    return _with(figure, {**phase_bands(phases), "annotations": []})


def above(figure: Drawing, phases: pd.DataFrame) -> Drawing:
    """The figure, whose cells would hide bands, with a strip of phases on top and their boundaries across the cells.

    `phases` as for `phase_bands`.
    """
    margin = figure.layout["margin"]
    height = figure.height - margin["t"] - margin["b"]
    bottom, top = 1 + 3 / height, 1 + (3 + _STRIP) / height
    bands = phase_bands(phases)
    # Bars of intervals would cover the strip.
    bands["shapes"] = [shape for shape in bands["shapes"] if shape["y0"] < shape["y1"]]
    strong = {fill(row): strong_fill(row) for row in phases.to_dict("records")}
    for shape in bands["shapes"]:
        if shape["type"] == "rect":
            shape |= {"y0": bottom, "y1": top, "fillcolor": strong[str(shape["fillcolor"])]}
        else:
            shape |= {"y1": top, "layer": "above", "line": {**_ON_CELLS}}
    for word in bands["annotations"]:
        word |= {"y": top, "text": word["text"].replace("<br>", " ")}
    room = sum(max(_width(row), 0.0) for row in phases.to_dict("records"))
    letters = 0.011 * room  # about what one takes, in units of the axis, in the narrowest of figures
    widths = {row["name"] or row["label"]: _width(row) for row in phases.to_dict("records")}
    fitting = [word for word in bands["annotations"] if len(word["text"]) * letters <= widths.get(word["text"], room)]
    more = _STRIP + 3 + (14 if fitting else 0)
    higher = figure.and_layout(height=figure.height + more, margin={**margin, "t": margin["t"] + more})
    return _with(higher, {**bands, "annotations": fitting})


def _with(figure: Drawing, bands: dict[str, list[dict[str, Any]]]) -> Drawing:
    """Bands before what the figure has, so that they lie below it."""
    return figure.and_layout(**{name: [*items, *figure.layout.get(name, ())] for name, items in bands.items()})


def fill(row: dict[Any, Any]) -> str:
    """The colour of a phase behind curves; "" for what neither rises nor falls."""
    return _colour(row, _SHARP, _SLOW)


def strong_fill(row: dict[Any, Any]) -> str:
    """The colour of a phase where nothing is drawn over it; "" for what neither rises nor falls."""
    return _colour(row, *_STRONG)


def _colour(row: dict[Any, Any], sharp: float, slow: float) -> str:
    colour = _FILLS.get(str(row["label"]).split()[-1])
    look = theme.Style(colour or theme.NEUTRAL, theme.SYMBOLS[0], theme.DASHES[0])
    return look.faint(sharp if str(row["label"]).startswith("sharply") else slow) if colour else ""


def _shapes(row: dict[Any, Any], *, first: bool) -> list[dict[str, Any]]:
    start, end = steps_axis.position(row["start"]), steps_axis.position(row["end"])
    found: list[dict[str, Any]] = []
    if colour := fill(row):
        found.append(
            {"type": "rect", "x0": start, "x1": end, "y0": 0, "y1": 1, "fillcolor": colour, "line": {"width": 0}}
        )
    if not first:
        line = {"color": theme.NEUTRAL, "width": 1}
        found.append({"type": "line", "x0": start, "x1": start, "y0": 0, "y1": 1, "line": {**line, "dash": "dot"}})
        if row["start_low"] < row["start_high"]:
            low, high = (steps_axis.position(row[edge]) for edge in ("start_low", "start_high"))
            found.append({"type": "line", "x0": low, "x1": high, "y0": 1, "y1": 1, "line": {**line, "width": 4}})
    return [{**shape, "xref": "x", "yref": "paper", "layer": "below"} for shape in found]


def _word(row: dict[Any, Any]) -> dict[str, Any]:
    """At the bottom of the band, in lines of one word."""
    middle = (steps_axis.position(row["start"]) + steps_axis.position(row["end"])) / 2
    return {
        "x": round(middle, 4),
        "y": 0.01,
        "xref": "x",
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
        "text": theme.plain(row["name"] or row["label"]).replace(" ", "<br>"),
        "font": {"size": 10, "color": theme.NEUTRAL},
    }


def _width(row: dict[Any, Any]) -> float:
    return steps_axis.position(row["end"]) - steps_axis.position(row["start"])
