"""A measure of one's own along training: a curve for each layer, or each seed of one; or layers against layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.errors import BadArgumentError, did_you_mean
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.depth import MOST_IN_LEGEND, depth_bar
from phasescope.reports.kit.drawing import Drawing, Trace, heatmap, scatter

if TYPE_CHECKING:
    import pandas as pd

_HEIGHT = 360
_MARGIN = {"l": 72, "r": 16, "t": 72, "b": 52}


def own_figure(
    measured: pd.DataFrame, component: str | None = None, size: str | None = None, quantity: str | None = None
) -> tuple[Drawing, str]:
    """The figure of one component, size and quantity, and the size; None: the first, the largest, the first.

    measured: a table as `run.map` gives it. Raises `BadArgumentError` for what is not in it, with the nearest.
    """
    sizes = list(dict.fromkeys(measured["size"]))
    chosen = {"size": _chosen(size, sizes, sizes[-1], "size")}
    for name, wanted in (("component", component), ("quantity", quantity)):
        there = list(dict.fromkeys(tidy.of(measured, **chosen)[name]))
        chosen[name] = _chosen(wanted, there, there[0], name)
    rows = tidy.of(measured, **chosen)
    title = f"{chosen['quantity']} of {chosen['component']}, {chosen['size']}"
    return drawn(rows, title, str(measured.attrs.get("units", "")), str(measured.attrs.get("pairs", ""))), chosen[
        "size"
    ]


def drawn(rows: pd.DataFrame, title: str, units: str, pairs: str) -> Drawing:
    """The rows of one size, component and quantity. A table without a value gives axes with a sentence."""
    named = rows["quantity"].iloc[0] + (f" ({units})" if units else "")
    whole = tidy.whole(rows)
    rows = tidy.heads(rows) if whole.empty else whole
    if not rows["value"].notna().any():
        return _sentence(title, rows)
    if pairs == "layers":
        return _layers(rows, title, named)
    layers = tidy.integers(rows["layer"])
    several = len(layers) > 1 or len(tidy.integers(rows["head"])) > 1
    curves, steps = _by_layer(rows) if several else _by_seed(rows)
    return _figure(
        curves, title, xaxis=steps_axis.axis(steps), yaxis={"title": {"text": theme.plain(named)}, "nticks": 8}
    )


def _chosen(wanted: str | None, there: list[str], usual: str, what: str) -> str:
    if wanted is not None and wanted not in there:
        raise BadArgumentError(f"This measure has no {what} {wanted!r}. {did_you_mean(wanted, there)}")
    return wanted or usual


def _by_layer(rows: pd.DataFrame) -> tuple[list[Trace], list[int]]:
    """Median over seeds (and heads), blue for the first layer to orange for the last."""
    grid = tidy.grid(rows, "value", digits=6)
    many = len(grid.rows) > MOST_IN_LEGEND
    curves = [
        scatter(
            x=[steps_axis.position(step) for step in grid.steps],
            y=values,
            customdata=grid.steps,
            meta=theme.held("step"),
            name=f"L{layer}",
            mode="lines+markers" if len(grid.steps) <= 30 else "lines",
            line={"color": theme.depth_colour(layer, grid.layers), "width": 1.8},
            marker={"size": 4},
            showlegend=not many,
            hovertemplate=f"step %{{customdata}}<br>%{{y:.4g}}<extra>L{layer}</extra>",
        )
        for (layer, _), values in zip(grid.rows, grid.values, strict=True)
    ]
    return ([*curves, depth_bar(grid.layers)] if many else curves), grid.steps


def _by_seed(rows: pd.DataFrame) -> tuple[list[Trace], list[int]]:
    """A curve for each seed with its interval; of pairs of seeds for the first of them, the mean over the others."""
    looks = theme.styles(tidy.integers(rows["seed"]))
    curves: list[Trace] = []
    for seed, look in looks.items():
        mine = tidy.of(rows, seed=seed)[["step", "value", "low", "high"]].groupby("step", as_index=False).mean()
        curves += step_curve(mine, f"seed {seed}", look, unit="")
    return bands_behind(curves), tidy.integers(rows["step"])


def _layers(rows: pd.DataFrame, title: str, named: str) -> Drawing:
    """Layers against layers at the last step: the median over seeds."""
    last = rows[rows["step"] == rows["step"].max()]
    wide = last.groupby(["layer", "other"])["value"].median()
    names = sorted({*tidy.integers(rows["layer"]), *tidy.integers(rows["other"])})
    values = [[wide.get((min(a, b), max(a, b))) if a != b else None for b in names] for a in names]
    ticks = [f"L{layer}" for layer in names]
    cells = heatmap(
        x=ticks,
        y=ticks,
        z=[tidy.numbers_or_none(row) for row in values],
        text=[[f"{one}, {other}" for other in ticks] for one in ticks],
        customdata=[[""] * len(ticks)] * len(ticks),
        hovertemplate="%{text}<br>%{z:.4g}<extra></extra>",
        hoverongaps=False,
        colorscale=theme.sequential(),
        colorbar={"title": {"text": theme.plain(named), "side": "right"}, "thickness": 10, "outlinewidth": 0},
    )
    step = {"title": {"text": f"layer, at {counting.at(rows['step'].max())}"}}
    return _figure([cells], title, xaxis=step, yaxis={"title": {"text": "layer"}})


def _sentence(title: str, rows: pd.DataFrame) -> Drawing:
    why = "; ".join(tidy.reasons(rows)[:2])
    text = "There is no value to show" + (f": {theme.plain(why)}." if why else ".")
    note = {"text": text, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
    return _figure([], title, xaxis=steps_axis.axis(tidy.integers(rows["step"]))).and_layout(annotations=[note])


def _figure(curves: list[Trace], title: str, **axes: object) -> Drawing:
    above = {"text": theme.plain(title), "x": 0, "xref": "paper", "y": 0.98, "yanchor": "top"} if title else None
    margin = _MARGIN if title else _MARGIN | {"t": 16}
    return theme.figure(curves, _HEIGHT, title=above, margin=margin, **axes)
