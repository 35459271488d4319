"""Proportional effective rank along training: how much of the room it has a matrix or a layer's output uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.depth import MOST_IN_LEGEND, depth_bar
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd


def rank_figure(rank: pd.DataFrame, size: str, component: str, *, kind: str | None = None) -> Drawing:
    """One curve per layer, blue for the first to orange for the last: median over seeds, and over heads.

    Args:
        rank: columns size, seed, step, layer, component, kind, head, proportional.
        kind: `weight`, `circuit` or `activation`, where a name stands for more than one.

    Raises:
        ValueError: the table has no such rank.
    """
    grid = rank_grid(rank, size, component, kind=kind)
    if grid.empty:
        raise ValueError(f"no rank of {component} in {size}")
    many = len(grid.rows) > MOST_IN_LEGEND
    curves = [
        _curve(grid.steps, values, f"L{layer}", theme.depth_colour(layer, grid.layers), legend=not many)
        for (layer, _), values in zip(grid.rows, grid.values, strict=True)
    ]
    return _figure([*curves, depth_bar(grid.layers)] if many else curves, grid.steps)


def rank_grid(rank: pd.DataFrame, size: str, component: str, *, kind: str | None = None) -> tidy.Grid:
    """The numbers of a rank figure: of the whole where it was measured, else the median over heads."""
    table = tidy.of(rank, size=size, component=component, kind=kind)
    whole = tidy.whole(table)
    return tidy.grid(table if whole.empty else whole, "proportional", digits=4)


def embedding_rank_figure(rank: pd.DataFrame, size: str) -> Drawing:
    """The embedding W_E and the unembedding W_U, which belong to no layer: median over seeds.

    Columns as for `rank_figure`. Raises ValueError where neither was measured.
    """
    table = pooled(tidy.of(rank, size=size))
    table = table[table["component"].isin(["W_E", "W_U"]) & table["proportional"].notna()]
    if table.empty:
        raise ValueError(f"no rank of W_E or W_U in {size}")
    steps = steps_axis.thin(tidy.integers(table["step"]))
    curves: list[Trace] = []
    looks = theme.styles(["W_E", "W_U"])
    for component in tidy.ordered_components(table["component"].unique()):
        here = tidy.of(table, component=component)
        middle = here.groupby("step")["proportional"].median().reindex(steps)
        values = tidy.numbers_or_none(middle.round(4))
        curves.append(_curve(steps, values, component, looks[component].colour, legend=True))
    return _figure(curves, steps)


def _figure(curves: list[Trace], steps: list[int]) -> Drawing:
    axis = {"title": {"text": "proportional effective rank"}, "tickformat": "~g", "nticks": 8}
    return theme.figure(curves, 340, xaxis=steps_axis.axis(steps), yaxis=axis)


def _curve(steps: list[int], values: list[float | None], name: str, colour: str, *, legend: bool) -> Trace:
    return scatter(
        x=[steps_axis.position(step) for step in steps],
        y=values,
        customdata=steps,
        meta=theme.held("step"),
        name=name,
        mode="lines+markers" if len(steps) <= 30 else "lines",
        line={"color": colour, "width": 1.8},
        marker={"size": 4},
        showlegend=legend,
        hovertemplate=f"step %{{customdata}}<br>%{{y:.3f}}<extra>{name}</extra>",
    )
