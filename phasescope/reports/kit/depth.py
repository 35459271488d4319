"""Layers by their depth: how many have a colour of their own, and the scale of the others."""

from __future__ import annotations

from phasescope.reports.kit import theme
from phasescope.reports.kit.drawing import Trace, scatter

# With more layers than this a legend is longer than the plot; a colour bar says the same.
MOST_IN_LEGEND = 8


def depth_bar(layers: int) -> Trace:
    """A colour bar for depth: plotly ties one to a trace, so this trace draws nothing else."""
    scale = [[share, theme.depth_colour(round(share * 100), 101)] for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    ends = sorted({0, (layers - 1) // 2, layers - 1})
    return scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={
            "color": [0], "cmin": 0, "cmax": layers - 1, "colorscale": scale, "showscale": True,
            "colorbar": {
                "title": {"text": "layer", "side": "top"}, "thickness": 10, "outlinewidth": 0, "tickvals": ends,
                "ticktext": [f"L{layer}" for layer in ends], "x": 1.01,
            },
        },
        showlegend=False,
        hoverinfo="skip",
    )  # fmt: skip
