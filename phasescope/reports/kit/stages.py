"""What the step axis of a run counts, and the stages of its training, on figures that were drawn of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from phasescope.reports.kit import steps_axis, theme
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Part

_TITLES = {"steps": steps_axis.TITLE, "words": "words read", "chunks": "chunks of the data", "tokens": "tokens read"}
_OF_STEPS = (steps_axis.TITLE, "training step", "step")
# Every second stage is a faint band; narrower ones, as a share of the axis, have no room for a word.
_FILL, _ROOM = 0.07, 0.06


def staged(figure: Drawing, manifest: Mapping[str, Any], size: str | None = None) -> Drawing:
    """The figure with its step axis named for what the run counts, and the stages of training as bands.

    size: whose stages; None: those of all sizes, where they have the same. A figure without a step axis stays as it is.
    """
    axes = [name for name, axis in figure.layout.items() if "axis" in name and _title(axis) in _OF_STEPS]
    if not axes:
        return figure
    unit = str(manifest.get("unit") or "steps")
    if unit != "steps":
        title = _TITLES.get(unit, unit) + " (log scale, with 0)"
        for name in axes:
            axis = figure.layout[name]
            text = {"text": title if _title(axis) == steps_axis.TITLE else _TITLES.get(unit, unit)}
            figure = figure.and_layout(**{name: {**axis, "title": {**axis["title"], **text}}})
    stages = _stages(manifest, size)
    for name in (name for name in axes if name.startswith("xaxis")):
        figure = _with_stages(figure, name.replace("axis", ""), figure.layout[name].get("range"), stages)
    return figure


def part_staged(part: Part, manifest: Mapping[str, Any], size: str | None = None) -> Part:
    """The part of a page with all its figures so."""
    panels, folded = (
        [replace(panel, figure=staged(panel.figure, manifest, size)) for panel in several]
        for several in (part.panels, part.folded)
    )
    return replace(part, panels=panels, folded=folded)


def _title(axis: Any) -> str | None:
    title = axis.get("title") if isinstance(axis, dict) else None
    return title.get("text") if isinstance(title, dict) else None


def _stages(manifest: Mapping[str, Any], size: str | None) -> Sequence[tuple[str, int, int]]:
    told: Mapping[str, Sequence[Sequence[Any]]] = manifest.get("stages") or {}
    if size is None:
        several = {str(stages) for stages in told.values()}
        alike = len(several) == 1 and set(told) == set(manifest.get("sizes", told))
        size = next(iter(told)) if alike else None
    return [(str(name), int(first), int(last)) for name, first, last in told.get(size or "", ())]


def _with_stages(
    figure: Drawing, axis: str, span: Sequence[float] | None, stages: Sequence[tuple[str, int, int]]
) -> Drawing:
    """With a band for each stage, from the end of the one before to its own end, its name at the bottom."""
    if len(stages) < 2:
        return figure
    y = f"y{axis.removeprefix('x')}"
    ends = [steps_axis.position(last) for _, _, last in stages]
    begin = min(steps_axis.position(stages[0][1]), ends[0])
    wide = max((span[1] - span[0]) if span else ends[-1] - begin, 1e-9)
    shapes: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for number, ((name, _, _), left, right) in enumerate(zip(stages, [begin, *ends], ends, strict=False)):
        place = {"xref": axis, "yref": f"{y} domain", "x0": left, "y0": 0, "y1": 1}
        if number % 2:
            fill = {"fillcolor": theme.NEUTRAL, "opacity": _FILL, "layer": "below", "line": {"width": 0}}
            shapes.append({"type": "rect", **place, "x1": right, **fill})
        if number:
            line = {"color": theme.NEUTRAL, "width": 1, "dash": "dash"}
            shapes.append({"type": "line", **place, "x1": left, "line": line})
        if right - left >= _ROOM * wide:
            at = {"xref": axis, "yref": f"{y} domain", "x": (left + right) / 2, "y": 0, "yanchor": "bottom"}
            words.append({**at, "text": name or "first", "showarrow": False, "font": {"size": 10}})
    return figure.and_shapes(*shapes, annotations=tuple(words))
