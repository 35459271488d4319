"""One look for every figure: colours that colour-blind readers can tell apart and that read on white and on black."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, TypeVar

from phasescope import counting
from phasescope.reports.kit.drawing import Drawing, Trace, known

Key = TypeVar("Key")
_STEP = re.compile(r"\bstep$")

# Okabe & Ito's palette without its black and its yellow, each of which vanishes on one of the two backgrounds.
QUALITATIVE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
SYMBOLS = ("circle", "square", "diamond", "triangle-up")
DASHES = ("solid", "dot", "dash", "dashdot")
# Depth: both ends and the middle have about the same lightness, so that no layer disappears on either background.
DEPTH = ((0.0, (44, 112, 190)), (0.5, (150, 103, 178)), (1.0, (222, 105, 36)))
NEUTRAL = "#808894"
FAINT = "rgba(128, 136, 148, 0.25)"
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'


@dataclass(frozen=True)
class Style:
    """How one seed or size looks in every figure of a report."""

    colour: str
    symbol: str
    dash: str

    def faint(self, opacity: float = 0.16) -> str:
        """The same colour, for a band behind the curve."""
        red, green, blue = (int(self.colour[start : start + 2], 16) for start in (1, 3, 5))
        return f"rgba({red}, {green}, {blue}, {opacity})"


def styles(keys: Iterable[Key]) -> dict[Key, Style]:
    """One style for each key in the order given; when the colours are used up, symbols and dashes tell them apart."""
    looks: dict[Key, Style] = {}
    for number, key in enumerate(keys):
        round_, colour = divmod(number, len(QUALITATIVE))
        looks[key] = Style(QUALITATIVE[colour], SYMBOLS[round_ % len(SYMBOLS)], DASHES[round_ % len(DASHES)])
    return looks


def depth_colour(layer: int, layers: int) -> str:
    """The colour of a layer: blue for the first, through violet, to orange for the last."""
    share = layer / (layers - 1) if layers > 1 else 0.0
    (start, low), (end, high) = (DEPTH[0], DEPTH[1]) if share <= DEPTH[1][0] else (DEPTH[1], DEPTH[2])
    weight = (share - start) / (end - start)
    mixed = (round(a + (b - a) * weight) for a, b in zip(low, high, strict=True))
    return "rgb({}, {}, {})".format(*mixed)


def depth_style(layer: int, layers: int) -> Style:
    """The look of a layer's curve where it has a band."""
    channels = depth_colour(layer, layers).removeprefix("rgb(").removesuffix(")").split(", ")
    return Style("#" + "".join(f"{int(channel):02x}" for channel in channels), SYMBOLS[0], DASHES[0])


@functools.cache
def sequential() -> list[list[Any]]:
    """For CKA: perceptually even, monotone in lightness, and made for colour-vision deficiency."""
    from plotly.colors import get_colorscale

    return [list(stop) for stop in get_colorscale("Viridis")]


def ink_on(colour: str) -> str:
    """Black or white, whichever is read better on a colour `#rrggbb` (contrast as WCAG 2 defines it)."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    light = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (light + 0.05) / 0.05 > 1.05 / (light + 0.05) else "#ffffff"


def plain(text: object) -> str:
    """Text for a plotly label: plotly reads tags and entities in labels, so names are escaped first."""
    return escape(str(text), quote=False)


# The `meta` of a trace that repeats what another one holds.
NOT_DATA: dict[str, Any] = {"columns": [], "axes": ""}


def held(*columns: str, axes: str = "y") -> dict[str, Any]:
    """What a trace's `customdata` holds, for its `meta`: from it a page writes the figure's data as CSV.

    Args:
        columns: a name for each entry of a point's `customdata`.
        axes: which places of a point are data as well: `x`, `y`, both or none. Places on the step axis are not, where
            the step itself is in `customdata`; where something else is counted, the name `step` becomes that.
    """
    unit = counting.current().unit
    return {"columns": [name if unit == "steps" else _STEP.sub(unit, name) for name in columns], "axes": axes}


def figure(traces: Iterable[Trace], height: int, **layout: Any) -> Drawing:
    """A figure in the look that all share: no background of its own, mid-grey ink, legend above the plot.

    `layout` adds to the shared layout.
    """
    # The standoff is what keeps the title of an axis off its labels.
    axis: dict[str, Any] = {"gridcolor": FAINT, "linecolor": FAINT, "tickcolor": FAINT, "ticks": "outside"}
    axis |= {"automargin": True, "title": {"standoff": 14}}
    across, up = {**axis, "showgrid": False, "zeroline": False}, {**axis, "zeroline": False}
    shared: dict[str, Any] = {
        "template": {"layout": {"xaxis": across, "yaxis": up}},
        "height": height,
        "autosize": True,
        "margin": {"l": 56, "r": 16, "t": 16, "b": 52},
        "font": {"family": FONT, "size": 12, "color": NEUTRAL},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hoverlabel": {"font": {"family": FONT, "size": 12}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "xanchor": "left", "yanchor": "bottom"},
    }
    return Drawing(list(traces), known(shared | layout))
