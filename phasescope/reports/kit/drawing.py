"""Figures as plain data, as plotly draws them: what a page of thousands of curves is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope import counting

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Trace = dict[str, Any]
"""One curve, map or row of bars, with plotly's attributes."""


def scatter(**attributes: Any) -> Trace:
    """Points or a curve; what is None is left to plotly."""
    return _trace("scatter", attributes)


def bar(**attributes: Any) -> Trace:
    """A row of bars; what is None is left to plotly."""
    return _trace("bar", attributes)


def heatmap(**attributes: Any) -> Trace:
    """Cells; what is None is left to plotly."""
    return _trace("heatmap", attributes)


@dataclass(frozen=True)
class Drawing:
    """A figure: its traces and its layout, with plotly's names.

    plotly's own objects look at every attribute of every curve as it is set: for a report of hundreds of checkpoints
    that takes longer than all else. Here nothing is looked at, so tests hold drawings against plotly's schema.
    """

    data: list[Trace]
    layout: dict[str, Any]

    def to_plotly_json(self) -> dict[str, Any]:
        """As plotly's figures say what they are: what Dash sends to a page, and kaleido draws."""
        return {"data": self.data, "layout": self.layout}

    @property
    def height(self) -> int:
        """In pixels."""
        return int(self.layout["height"])

    def and_layout(self, **changes: Any) -> Drawing:
        """The same traces with some of the layout changed."""
        return Drawing(self.data, self.layout | known(changes))

    def and_shapes(self, *shapes: dict[str, Any], annotations: tuple[dict[str, Any], ...] = ()) -> Drawing:
        """The same with more shapes and annotations, over those that there are."""
        more = {"shapes": shapes, "annotations": annotations}
        return self.and_layout(**{name: [*self.layout.get(name, ()), *items] for name, items in more.items() if items})

    def across(self, y: float, line: dict[str, Any], note: dict[str, Any] | None = None) -> Drawing:
        """With a line at the height `y` through the whole plot; note: an annotation at it, with `x` from 0 to 1."""
        shape = {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": y, "y1": y, "line": line}
        notes = () if note is None else ({"xref": "x domain", "yref": "y", "y": y, "showarrow": False, **note},)
        return self.and_shapes(shape, annotations=notes)

    def upright_of(self, across: str) -> dict[str, Any]:
        """Where a shape from the bottom to the top of all plots over an x-axis (`x`, `x2`) is: yref, y0, y1."""
        about = self.layout.get(f"xaxis{across[1:]}", {})
        first = about.get("anchor") or f"y{across[1:]}"
        domains = [
            axis.get("domain", [0, 1])
            for name, axis in self.layout.items()
            if name.startswith("yaxis") and (name.replace("axis", "") == first or axis.get("anchor", "x") == across)
        ]
        if len(domains) < 2:
            return {"yref": f"{first} domain", "y0": 0, "y1": 1}
        return {"yref": "paper", "y0": min(low for low, _ in domains), "y1": max(high for _, high in domains)}

    def upright(self, x: float, line: dict[str, Any]) -> Drawing:
        """With a line at `x` from the bottom of the plot to its top."""
        return self.and_shapes(
            {"type": "line", "xref": "x", "x0": x, "x1": x, "yref": "y domain", "y0": 0, "y1": 1, "line": line}
        )

    def plotly(self) -> Figure:
        """A figure of plotly's, to change and to show; checked against its schema."""
        from phasescope.reports.kit.notebook_figure import NotebookFigure

        return NotebookFigure(self.to_plotly_json())

    def _repr_mimebundle_(self, *args: Any, **named: Any) -> Any:
        """For notebooks."""
        return self.plotly()._repr_mimebundle_(*args, **named)


def known(attributes: dict[str, Any]) -> dict[str, Any]:
    """Without what is None, at any depth: plotly's script takes that for an answer."""
    return {
        name: known(value) if isinstance(value, dict) else value
        for name, value in attributes.items()
        if value is not None
    }


def _trace(kind: str, attributes: dict[str, Any]) -> Trace:
    trace = {"type": kind} | {name: value for name, value in attributes.items() if value is not None}
    if "hovertemplate" in trace:
        trace["hovertemplate"] = counting.hovering(trace["hovertemplate"])
    return trace
