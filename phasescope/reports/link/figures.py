"""The link in pictures: layers over behavioural phases, where they do their moving, and whether they lead or follow."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, Trace, bar, scatter

if TYPE_CHECKING:
    import pandas as pd

_TICKS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32)
# Phases in order, from cold to warm: neighbours differ in hue and in lightness, on white as on black.
PHASE_COLOURS = ("#3B4CC0", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")


def shares_figure(shares: pd.DataFrame) -> Drawing:
    """One bar per site, cut where its moving falls into the phases of one curve; negative parts stand left of zero.

    Args:
        shares: columns layer, component, phase, label, start, end, share, low, high: one row per site and phase.

    Raises:
        ValueError: no site has a share.
    """
    known = shares[shares["share"].notna()]
    if known.empty:
        raise ValueError("no shares to draw")
    names = _rows(known)
    bars: list[Trace] = []
    for number, phase in enumerate(sorted(known["phase"].unique())):
        rows = tidy.of(known, phase=phase)
        first = rows.iloc[0]
        label = f"{first['label']}, {_span(first)}"
        share = [round(100 * value, 1) for value in rows["share"]]
        edges = [[_percent(low), _percent(high)] for low, high in zip(rows["low"], rows["high"], strict=True)]
        bars.append(
            bar(
                x=share,
                y=[_name(row) for row in rows.to_dict("records")],
                orientation="h",
                name=theme.plain(f"{number + 1} {label}"),
                marker={"color": PHASE_COLOURS[number % len(PHASE_COLOURS)], "line": {"width": 0}},
                text=[f"{value:.0f}" if abs(value) >= 12 else "" for value in share],
                textposition="inside",
                insidetextanchor="middle",
                textangle=0,
                textfont={"color": theme.ink_on(PHASE_COLOURS[number % len(PHASE_COLOURS)]), "size": 11},
                customdata=edges,
                meta=theme.held("low", "high", axes="xy"),
                hovertemplate="%{y}: %{x:.0f} % [%{customdata[0]}, %{customdata[1]}]<extra>"
                + theme.plain(label)
                + "</extra>",
            )
        )
    lowest = min(0.0, *(100 * known[known["share"] < 0].groupby(["layer", "component"])["share"].sum()), 0.0)
    highest = max(100.0, *(100 * known[known["share"] > 0].groupby(["layer", "component"])["share"].sum()))
    across = {"title": {"text": "share of the net change of CKA to the final state (%)"}, "zeroline": True,
              "zerolinecolor": theme.NEUTRAL, "range": [lowest * 1.03, highest * 1.01]}  # fmt: skip
    up = {"categoryorder": "array", "categoryarray": names[::-1], "showgrid": False, "dtick": 1}
    # Below the bars: four or five phases with their steps need several lines.
    legend = {"orientation": "h", "x": 0, "y": -70 / (40 + 22 * len(names)), "yanchor": "top", "traceorder": "normal"}
    height = 190 + 22 * len(names)
    margin = {"l": 56, "r": 16, "t": 8, "b": 132}
    return theme.figure(
        bars, height, barmode="relative", bargap=0.22, xaxis=across, yaxis=up, legend=legend, margin=margin
    )


def lags_figure(lags: pd.DataFrame) -> Drawing:
    """A dot per site with its interval: right of the line it moves after the curve, left of it before.

    Filled: more than coincidence.

    Args:
        lags: columns layer, component, lag, low, high, significant, correlation, q, reason, of one curve.

    Raises:
        ValueError: no site has a lag.
    """
    known = lags[lags["lag"].notna()]
    if known.empty:
        raise ValueError("no lags to draw")
    names = _rows(known)
    components = tidy.ordered_components(known["component"].unique())
    looks = theme.styles(components)
    traces = [_lag_dots(tidy.of(known, component=component), component, looks[component]) for component in components]
    reach = max(1.0, float(known[["lag", "low", "high"]].abs().clip(upper=4.5).max().max())) * 1.08
    shown = [factor for factor in _TICKS if abs(math.log(factor)) <= reach]
    across = {
        "title": {"text": "← moves before the curve · lag as a factor in steps · moves after it →"},
        "tickmode": "array", "tickvals": [round(math.log(factor), 4) for factor in shown],
        "ticktext": [f"×{factor:g}" if factor >= 1 else f"÷{1 / factor:g}" for factor in shown],
        "range": [-reach, reach], "showgrid": True,
    }  # fmt: skip
    up = {"categoryorder": "array", "categoryarray": names[::-1], "range": [-0.7, len(names) - 0.3], "dtick": 1}
    figure = theme.figure(traces, 120 + 22 * len(names), xaxis=across, yaxis=up, showlegend=len(components) > 1)
    return figure.upright(0, {"color": theme.NEUTRAL, "width": 1.5})


def fifth_figure(fifth: pd.DataFrame) -> Drawing:
    """The share of layers that have settled within the first fifth of training, by component and τ, with intervals.

    Args:
        fifth: columns component, tau, share, low, high, of one size.

    Raises:
        ValueError: there is no share.
    """
    known = fifth[fifth["share"].notna()]
    if known.empty:
        raise ValueError("no shares of settled layers to draw")
    rest = tidy.ordered_components(set(known["component"]) - {"all"})
    rows = ["all", *rest] if len(rest) > 1 else rest
    taus = sorted(known["tau"].unique())
    looks = theme.styles(taus)
    traces: list[Trace] = []
    for number, tau in enumerate(taus):
        here = tidy.of(known, tau=tau)
        here = here[here["component"].isin(rows)]
        offset = (number - (len(taus) - 1) / 2) * 0.5 / len(taus)
        share, low, high = ([round(100 * value, 2) for value in here[name].fillna(here["share"])]
                            for name in ("share", "low", "high"))  # fmt: skip
        traces.append(
            scatter(
                x=share,
                y=[len(rows) - 1 - rows.index(name) + offset for name in here["component"]],
                name=f"τ = {tau:g}",
                mode="markers",
                marker={"color": looks[tau].colour, "symbol": looks[tau].symbol, "size": 9},
                error_x=_bars(share, low, high, looks[tau].colour),
                meta=theme.held("component", "low", "high", axes="x"),
                customdata=[[name, *pair] for name, *pair in zip(here["component"], low, high, strict=True)],
                hovertemplate="%{customdata[0]}: %{x:.0f} % [%{customdata[1]:.0f}, %{customdata[2]:.0f}]",
            )
        )
    across = {"title": {"text": "layers settled within the first fifth of training (%)"}, "range": [-2, 102]}
    up = {"tickmode": "array", "tickvals": list(range(len(rows))), "ticktext": rows[::-1], "showgrid": True,
          "range": [-0.6, len(rows) - 0.4]}  # fmt: skip
    return theme.figure(traces, 130 + 40 * len(rows), xaxis=across, yaxis=up, showlegend=len(taus) > 1)


def _lag_dots(rows: pd.DataFrame, component: str, look: theme.Style) -> Trace:
    lags = [round(value, 4) for value in rows["lag"]]
    low, high = ([round(value, 4) for value in rows[name].fillna(rows["lag"])] for name in ("low", "high"))
    words = [
        [f"{row['factor']:.2g}", _factor(row["factor_low"]), _factor(row["factor_high"]), f"{row['correlation']:.2f}",
         f"q = {row['q']:.2g}" if row["q"] == row["q"] else row["reason"]]
        for row in rows.to_dict("records")
    ]  # fmt: skip
    return scatter(
        x=lags,
        y=[_name(row) for row in rows.to_dict("records")],
        name=theme.plain(component),
        mode="markers",
        marker={
            "color": look.colour, "size": 9, "line": {"width": 1.6, "color": look.colour},
            "symbol": [look.symbol if found else f"{look.symbol}-open" for found in rows["significant"]],
        },
        error_x=_bars(lags, low, high, look.colour),
        customdata=words,
        meta=theme.held("factor", "factor_low", "factor_high", "correlation", "chance", axes="xy"),
        hovertemplate="%{y}: factor %{customdata[0]} [%{customdata[1]}, %{customdata[2]}]<br>"
        "correlation %{customdata[3]}, %{customdata[4]}<extra></extra>",
    )  # fmt: skip


def _bars(middle: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str) -> dict[str, Any]:
    return {
        "type": "data", "symmetric": False, "thickness": 1.6, "width": 0, "color": colour,
        "array": [round(top - here, 4) for top, here in zip(high, middle, strict=True)],
        "arrayminus": [round(here - bottom, 4) for bottom, here in zip(low, middle, strict=True)],
    }  # fmt: skip


def _rows(table: pd.DataFrame) -> list[str]:
    """Sites in the order of reading: component by component, layer by layer."""
    order = {name: place for place, name in enumerate(tidy.ordered_components(table["component"].unique()))}
    sites = {(order[row["component"]], row["layer"]): _name(row) for row in table.to_dict("records")}
    return [sites[key] for key in sorted(sites)]


def _name(row: dict[Any, Any]) -> str:
    return f"L{row['layer']}.{row['component']}"


def _span(row: pd.Series[Any]) -> str:
    return f"{counting.noun()}s {steps_axis.label(round(row['start']))}–{steps_axis.label(round(row['end']))}"


def _percent(value: float) -> str:
    return "?" if math.isnan(value) else f"{100 * value:.0f}"


def _factor(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.2g}"
