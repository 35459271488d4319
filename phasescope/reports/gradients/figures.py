"""Gradients along training: how large they are, how many dimensions they use, whether they keep their direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, curve_with_band, thinned
from phasescope.reports.kit.depth import MOST_IN_LEGEND, depth_bar
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd
    from numpy import ndarray

# Of each value: its interval in the table ("" where it has none), the title of its axis, and how that is laid out.
VALUES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ratio": ("ratio_", "gradient norm / weight norm", {"type": "log", "tickformat": "~g", "dtick": "D2"}),
    "proportional": ("", "proportional effective rank", {"tickformat": "~g", "nticks": 8}),
    "cosine": ("cosine_", "cosine with the batch before", {"tickformat": "~g", "nticks": 8}),
    "cosine_previous": ("", "cosine with the checkpoint before", {"tickformat": "~g", "nticks": 8}),
}


def gradient_norm_figure(gradients: pd.DataFrame, size: str, *, seeds: Sequence[int] | None = None) -> Drawing:
    """The norm of the gradient by all parameters: one curve and interval per seed.

    Args:
        gradients: columns size, seed, step, kind, norm, low, high.
        seeds: all seeds of the run, so that a seed has one colour in every figure.

    Raises:
        ValueError: the table has no such norm.
    """
    table = tidy.of(gradients, size=size, kind="model")
    table = table[table["norm"].notna()]
    if table.empty:
        raise ValueError(f"no gradient norm of {size}")
    here = tidy.integers(table["seed"])
    looks = theme.styles(seeds or here)
    curves = [
        trace
        for seed in here
        for trace in _curve(
            tidy.across_seeds(tidy.of(table, seed=seed), "norm", "low", "high"), f"seed {seed}", looks[seed]
        )
    ]
    axis = {"title": {"text": "norm of the gradient"}, "rangemode": "tozero", "nticks": 7}
    steps = tidy.integers(table["step"])
    return theme.figure(bands_behind(curves), 340, xaxis=steps_axis.axis(steps), yaxis=axis, showlegend=len(here) > 1)


def gradient_figure(gradients: pd.DataFrame, size: str, component: str, value: str) -> Drawing:
    """One curve per layer, blue for the first to orange for the last: median over seeds, and over heads.

    Bands are the range of the seeds (of one seed its own interval, where it has one), left out where there are many
    layers.

    Args:
        gradients: columns size, seed, step, layer, component, head, the value and its interval.
        value: `ratio`, `proportional`, `cosine` or `cosine_previous`.

    Raises:
        ValueError: the table has no such value.
    """
    prefix, title, axis = VALUES[value]
    table = pooled(tidy.of(gradients, size=size, component=component))
    table = table[table[value].notna() & table["layer"].notna()]
    table = table if tidy.whole(table).empty else tidy.whole(table)
    if table.empty:
        raise ValueError(f"no {value} of gradients of {component} in {size}")
    middle = _over_seeds(table, (value, f"{prefix}low", f"{prefix}high") if prefix else (value,) * 3)
    depth, many = max(middle) + 1, len(middle) > MOST_IN_LEGEND
    curves: list[Trace] = []
    for layer, curve in middle.items():
        shown = {**curve, "high": curve["low"]} if many else curve  # a band without a width is none
        curves += _curve(shown, f"L{layer}", theme.depth_style(layer, depth), legend=not many)
    steps = tidy.integers(table["step"])
    traces = [*bands_behind(curves), *([depth_bar(depth)] if many else [])]
    return theme.figure(traces, 340, xaxis=steps_axis.axis(steps), yaxis={"title": {"text": title}, **axis})


def _over_seeds(table: pd.DataFrame, columns: tuple[str, str, str]) -> dict[int, dict[str, ndarray]]:
    """Of each layer by step: the median over seeds and their range; of one seed its own interval. Heads: their median.

    columns: of the value and its interval.
    """
    import numpy as np

    keys = np.stack([table[name].to_numpy(np.int64) for name in ("layer", "step", "seed")])
    places, of_seed = np.unique(keys, axis=1, return_inverse=True)
    value, low, high = (tidy.spreads(of_seed, tidy.plain(table[name]), places.shape[1])[0] for name in columns)
    points, of_point = np.unique(places[:2], axis=1, return_inverse=True)
    if len(np.unique(keys[2])) > 1:
        value, low, high = tidy.spreads(of_point, value, points.shape[1])
    layers, starts = np.unique(points[0], return_index=True)
    parts = {
        name: np.split(column, starts[1:])
        for name, column in (("step", points[1]), ("value", value), ("low", low), ("high", high))
    }
    return {int(layer): {name: part[place] for name, part in parts.items()} for place, layer in enumerate(layers)}


def _curve(
    curve: pd.DataFrame | dict[str, ndarray], name: str, look: theme.Style, *, legend: bool = True
) -> list[Trace]:
    """From columns step, value, low, high: a curve and its band, to four digits."""
    steps, *numbers = thinned(curve)
    value, low, high = ([_short(x) for x in tidy.numbers_or_none(column.tolist())] for column in numbers)
    between = any(bottom != top for bottom, top in zip(low, high, strict=True))
    traces = curve_with_band(
        [steps_axis.position(step) for step in steps],
        value,
        low,
        high,
        name=name,
        look=look,
        customdata=[[step, bottom, top] for step, bottom, top in zip(steps, low, high, strict=True)]
        if between
        else [[step] for step in steps],
        columns=("step", "low", "high") if between else ("step",),
        hovertemplate="step %{customdata[0]}<br>%{y:.3g}"
        + (" [%{customdata[1]:.3g}, %{customdata[2]:.3g}]" if between else ""),
    )
    traces[-1] |= {"showlegend": legend, "marker": {**traces[-1]["marker"], "size": 4}}
    return traces


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
