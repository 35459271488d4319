"""A figure of plotly's that a notebook shows wherever it runs."""

from __future__ import annotations

from plotly.graph_objects import Figure


class NotebookFigure(Figure):
    pass
