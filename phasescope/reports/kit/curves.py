"""Curves with bands, as every figure of a quantity along training draws them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd
    from numpy import ndarray


def step_curve(curve: pd.DataFrame, name: str, look: theme.Style, unit: str = " nats") -> list[Trace]:
    """A curve over training steps from columns step, value, low, high; thinned to what the axis can show."""
    steps, *numbers = thinned(curve)
    value, low, high = (tidy.numbers_or_none(column.round(4).tolist()) for column in numbers)
    return curve_with_band(
        [steps_axis.position(step) for step in steps],
        value,
        low,
        high,
        name=name,
        look=look,
        customdata=[[step, bottom, top] for step, bottom, top in zip(steps, low, high, strict=True)],
        columns=("step", "low", "high"),
        hovertemplate=(f"step %{{customdata[0]}}<br>%{{y:.3f}} [%{{customdata[1]:.3f}}, %{{customdata[2]:.3f}}]{unit}"),
    )


def thinned(curve: pd.DataFrame | dict[str, ndarray]) -> tuple[list[int], ndarray, ndarray, ndarray]:
    """The steps that an axis can show, and value, low and high there; from columns of these names, a row per step."""
    import numpy as np

    there = tidy.plain(curve["step"])
    steps = steps_axis.thin(int(step) for step in there)
    kept = np.isin(there, steps)
    value, low, high = (tidy.plain(curve[name])[kept] for name in ("value", "low", "high"))
    return steps, value, low, high


def step_star(
    place: tuple[int, int, int], value: float, look: theme.Style, *, name: str, hovertemplate: str, legendgroup: str
) -> Trace:
    """A star on a curve at a step that was estimated, with the interval of that step: `place` is (step, low, high)."""
    middle, left, right = (steps_axis.position(step) for step in place)
    return scatter(
        x=[middle],
        y=[round(value, 4)],
        error_x={
            "type": "data", "symmetric": False, "array": [right - middle], "arrayminus": [middle - left],
            "color": look.colour, "thickness": 2, "width": 5,
        },
        mode="markers",
        marker={"symbol": "star", "size": 13, "color": look.colour, "line": {"color": theme.NEUTRAL, "width": 1}},
        customdata=[list(place)],
        meta=theme.held("step", "low", "high"),
        name=name,
        hovertemplate=hovertemplate,
        legendgroup=legendgroup,
        showlegend=False,
    )  # fmt: skip


def curve_with_band(
    x: Sequence[float],
    y: Sequence[float | None],
    low: Sequence[float | None],
    high: Sequence[float | None],
    *,
    name: str,
    look: theme.Style,
    customdata: Sequence[Any],
    columns: Sequence[str],
    hovertemplate: str,
    axes: str = "y",
) -> list[Trace]:
    """A curve and, behind it, the band between low and high; both hide together when the legend is clicked.

    `columns` names what `customdata` holds of each point; `axes` says which of the point's places (`x`, `y`) are data
    beside it (see `theme.held`).

    The band is left out where it has no width or misses an edge, and is drawn piece by piece around such gaps.
    """
    bands = []
    for piece in _pieces(low, high):
        xs = [x[i] for i in piece]
        bands.append(
            scatter(
                x=[*xs, *reversed(xs)],
                y=[high[i] for i in piece] + [low[i] for i in reversed(piece)],
                fill="toself",
                fillcolor=look.faint(),
                line={"width": 0},
                mode="lines",
                hoverinfo="skip",
                legendgroup=name,
                showlegend=False,
            )
        )
    line = scatter(
        x=list(x),
        y=list(y),
        name=name,
        mode="lines+markers",
        line={"color": look.colour, "width": 2, "dash": look.dash},
        marker={"symbol": look.symbol, "size": 6 if len(x) <= 30 else 4},
        customdata=list(customdata),
        meta=theme.held(*columns, axes=axes),
        hovertemplate=hovertemplate + "<extra>" + name + "</extra>",
        legendgroup=name,
    )
    return [*bands, line]


def _pieces(low: Sequence[float | None], high: Sequence[float | None]) -> list[list[int]]:
    """Runs of two or more neighbouring points that have both edges."""
    pieces: list[list[int]] = [[]]
    for i, (bottom, top) in enumerate(zip(low, high, strict=True)):
        if bottom is None or top is None:
            pieces.append([])
        else:
            pieces[-1].append(i)
    wide = [piece for piece in pieces if len(piece) > 1]
    return [piece for piece in wide if any(low[i] != high[i] for i in piece)]


def bands_behind(traces: Iterable[Trace]) -> list[Trace]:
    """All bands before all curves, so that no band dims another one's curve."""
    return sorted(traces, key=lambda trace: "fill" not in trace)


def over_steps(traces: list[Trace], steps: list[int], title: str) -> Drawing:
    axis = {"title": {"text": title}, "nticks": 8}
    legend = len({trace["legendgroup"] for trace in traces}) > 1
    return theme.figure(traces, 380, xaxis=steps_axis.axis(steps), yaxis=axis, showlegend=legend)
