"""What the step axis of a run counts, the stages of its training, and what was left out, on figures of steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from phasescope import counting
from phasescope.reports.kit import steps_axis, theme
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.gaps import Gap, with_gaps
from phasescope.reports.kit.panels import Panel, Part

_OF_STEPS = (steps_axis.TITLE, "training step", "step")
# Every second stage is a faint band; narrower ones, as a share of the axis, have no room for a word.
_FILL, _ROOM = 0.07, 0.06


def staged(
    figure: Drawing, manifest: Mapping[str, Any], size: str | None = None, left_out: Sequence[Gap] = ()
) -> Drawing:
    """The figure with its step axis named for what is counted, stages of training as bands, and marks of gaps.

    size: whose stages; None: those of all sizes, where they have the same. left_out: see `gaps`. A figure without a
    step axis stays as it is.
    """
    axes = [name for name, axis in figure.layout.items() if "axis" in name and _is_of_steps(axis)]
    if not axes:
        return figure
    for name in axes:
        axis = figure.layout[name]
        if _title(axis) in _OF_STEPS:
            text = {"text": steps_axis.title(short=_title(axis) != steps_axis.TITLE)}
            figure = figure.and_layout(**{name: {**axis, "title": {**axis["title"], **text}}})
    stages = _stages(manifest, size)
    for name in (name for name in axes if name.startswith("xaxis")):
        figure = _with_stages(figure, name.replace("axis", ""), figure.layout[name], stages)
        if figure.layout[name].get("range"):
            figure = with_gaps(figure, name, left_out)
    return figure


def part_staged(
    part: Part,
    manifest: Mapping[str, Any],
    size: str | None = None,
    left_out: Callable[[str | None], Sequence[Gap]] = lambda size: (),
) -> Part:
    """The part of a page with all its figures so. left_out: gives the gaps of a size, or of all."""

    def finished(panel: Panel) -> Panel:
        of = panel.size or size
        return replace(panel, figure=staged(panel.figure, manifest, of, left_out(of)))

    panels, folded = ([finished(panel) for panel in several] for several in (part.panels, part.folded))
    return replace(part, panels=panels, folded=folded)


def _is_of_steps(axis: Any) -> bool:
    """By its title, or, where it has none, as one of several plots, by the small ticks that only such axes have."""
    known = {*_OF_STEPS, steps_axis.title(), steps_axis.title(short=True)}
    return isinstance(axis, dict) and (_title(axis) in known or "tickvals" in (axis.get("minor") or {}))


def _title(axis: Any) -> str | None:
    title = axis.get("title") if isinstance(axis, dict) else None
    return title.get("text") if isinstance(title, dict) else None


def _stages(manifest: Mapping[str, Any], size: str | None) -> Sequence[tuple[str, float, float]]:
    shown = counting.current()
    told = {
        of: [(str(name), float(shown.at(of, first)), float(shown.at(of, last))) for name, first, last in stages]
        for of, stages in (manifest.get("stages") or {}).items()
    }
    if size is None:
        several = {str(stages) for stages in told.values()}
        alike = len(several) == 1 and set(told) == set(manifest.get("sizes", told))
        size = next(iter(told)) if alike else None
    return told.get(size or "", [])


def _with_stages(
    figure: Drawing, axis: str, about: Mapping[str, Any], stages: Sequence[tuple[str, float, float]]
) -> Drawing:
    """With a band for each stage, from the end of the one before to its own end, its name at the bottom."""
    if len(stages) < 2:
        return figure
    span, upright = about.get("range"), figure.upright_of(axis)
    ends = [steps_axis.position(last) for _, _, last in stages]
    begin = min(steps_axis.position(stages[0][1]), ends[0])
    wide = max((span[1] - span[0]) if span else ends[-1] - begin, 1e-9)
    shapes: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for number, ((name, _, _), left, right) in enumerate(zip(stages, [begin, *ends], ends, strict=False)):
        place = {"xref": axis, **upright, "x0": left}
        if number % 2:
            fill = {"fillcolor": theme.NEUTRAL, "opacity": _FILL, "layer": "below", "line": {"width": 0}}
            shapes.append({"type": "rect", **place, "x1": right, **fill})
        if number:
            line = {"color": theme.NEUTRAL, "width": 1, "dash": "dash"}
            shapes.append({"type": "line", **place, "x1": left, "line": line})
        if right - left >= _ROOM * wide:
            at = {
                "xref": axis,
                "yref": upright["yref"],
                "x": (left + right) / 2,
                "y": upright["y0"],
                "yanchor": "bottom",
            }
            words.append({**at, "text": name or "first", "showarrow": False, "font": {"size": 10}})
    return figure.and_shapes(*shapes, annotations=tuple(words))
