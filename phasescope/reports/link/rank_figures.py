"""What effective rank explains, in pictures: settling and instability against rank, and correlations by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd

_HEIGHT = 380
_MARGIN = {"l": 60, "r": 16, "t": 40, "b": 56}


def rank_and_settling(table: pd.DataFrame, steps: Sequence[int]) -> Drawing:
    """Rank (up) against the settling step (left) and against instability (right): a point per layer and seed.

    The symbol is the size, the colour the depth of the layer: blue for the first, orange for the last.

    Args:
        table: columns size, layer, seed, rank, settling_step, instability, of one component.
        steps: the steps that were probed, for the axis.

    Raises:
        ValueError: the table has no rows.
    """
    import pandas as pd

    if table.empty:
        raise ValueError("no layers to draw")
    edge = steps_axis.never_position(steps)
    sizes = list(dict.fromkeys(table["size"]))
    # Rings and crosses as well as dots: colours are taken by the depth.
    looks = dict(zip(sizes, ("circle", "square", "diamond", "triangle-up", "cross", "x", "star"), strict=False))
    traces: list[Trace] = []
    for size in sizes:
        rows = tidy.of(table, size=size)
        places = [edge if pd.isna(step) else steps_axis.position(int(step)) for step in rows["settling_step"]]
        traces.append(_points(rows, places, size, looks.get(size, "circle"), "x"))
        moved = rows[rows["instability"].notna()]
        if len(moved):
            back = [round(value, 4) for value in moved["instability"]]
            traces.append(_points(moved, back, size, looks.get(size, "circle"), "x2"))
    left = steps_axis.axis(steps, never=True, at_most=6) | {"domain": [0, 0.47]}
    left["title"] = {"text": steps_axis.settling_title()}
    # Half a figure has no room for the last step beside "never".
    labelled = [number for number in range(len(left["tickvals"])) if number != len(left["tickvals"]) - 2]
    left |= {name: [left[name][number] for number in labelled] for name in ("tickvals", "ticktext")}
    most = max(0.02, float(table["instability"].fillna(0).max()))
    right = {"domain": [0.55, 1], "title": {"text": "CKA moved back after settling"}, "nticks": 5}
    right["range"] = [-0.06 * most, 1.06 * most]
    up = {"title": {"text": "proportional effective rank"}, "nticks": 7, "showgrid": True}
    return theme.figure(traces, _HEIGHT, xaxis=left, xaxis2=right, yaxis=up, showlegend=len(sizes) > 1, margin=_MARGIN)


def correlations_figure(table: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """The correlation of rank with CKA, layer by layer: a dot with its interval for each size.

    Args:
        table: columns size, component, layer, estimate, low, high.
        sizes: all sizes of the run, so that a size has one colour in every figure.

    Raises:
        ValueError: the table has no rows.
    """
    if table.empty:
        raise ValueError("no correlations to draw")
    looks = theme.styles(sizes)
    components = tidy.ordered_components(table["component"].unique())
    keys = [
        (component, layer)
        for component in components
        for layer in tidy.integers(tidy.of(table, component=component)["layer"])
    ]
    place = {key: len(keys) - 1 - number for number, key in enumerate(keys)}
    present = [size for size in sizes if size in set(table["size"])]
    traces = []
    for number, size in enumerate(present):
        rows = tidy.of(table, size=size)
        offset = ((len(present) - 1) / 2 - number) * 0.66 / len(present)
        sites = list(zip(rows["component"], rows["layer"].astype(int), strict=True))
        traces.append(_correlations(rows, [place[site] + offset for site in sites], size, looks[size]))
    across = {"title": {"text": "correlation of rank with CKA"}, "range": [-1.05, 1.05], "dtick": 0.5, "showgrid": True}
    names = [f"L{layer}.{component}" for component, layer in keys]
    up = {
        "tickmode": "array", "tickvals": list(place.values()), "ticktext": names, "range": [-0.6, len(keys) - 0.4],
    }  # fmt: skip
    figure = theme.figure(traces, 120 + 20 * len(keys), xaxis=across, yaxis=up, showlegend=len(present) > 1)
    return figure.upright(0, {"color": theme.NEUTRAL, "width": 1.5})


def _points(rows: pd.DataFrame, x: list[float], size: str, symbol: str, axis: str) -> Trace:
    import pandas as pd

    depth = int(rows["layer"].max()) + 1
    words = [
        [layer, seed, "never" if pd.isna(step) else int(step), None if pd.isna(back) else round(back, 4)]
        for layer, seed, step, back in rows[["layer", "seed", "settling_step", "instability"]].itertuples(index=False)
    ]
    marker: dict[str, Any] = {"symbol": symbol, "size": 8, "opacity": 0.85}
    marker["color"] = [theme.depth_colour(int(layer), depth) for layer in rows["layer"]]
    return scatter(
        x=x,
        y=[round(value, 4) for value in rows["rank"]],
        xaxis=axis,
        name=theme.plain(size),
        legendgroup=size,
        showlegend=axis == "x",
        mode="markers",
        marker=marker,
        customdata=words,
        # The same points stand on both sides.
        meta=theme.held("layer", "seed", "settling step", "moved back") if axis == "x" else theme.NOT_DATA,
        hovertemplate="L%{customdata[0]}, seed %{customdata[1]}: rank %{y:.3f}<br>settles at step %{customdata[2]}"
        f"<extra>{theme.plain(size)}</extra>",
    )


def _correlations(rows: pd.DataFrame, y: list[float], size: str, look: theme.Style) -> Trace:
    middle = [round(value, 4) for value in rows["estimate"]]
    low, high = ([round(value, 4) for value in rows[name].fillna(rows["estimate"])] for name in ("low", "high"))
    return scatter(
        x=middle,
        y=[round(value, 3) for value in y],
        name=theme.plain(size),
        mode="markers",
        marker={"color": look.colour, "symbol": look.symbol, "size": 8},
        error_x={
            "type": "data", "symmetric": False, "thickness": 1.6, "width": 0, "color": look.colour,
            "array": [round(top - here, 4) for top, here in zip(high, middle, strict=True)],
            "arrayminus": [round(here - bottom, 4) for bottom, here in zip(low, middle, strict=True)],
        },
        customdata=[
            [f"L{layer}.{component}", bottom, top]
            for layer, component, bottom, top in zip(rows["layer"], rows["component"], low, high, strict=True)
        ],
        meta=theme.held("site", "low", "high", axes="x"),
        hovertemplate="%{customdata[0]}: %{x:.2f} [%{customdata[1]:.2f}, %{customdata[2]:.2f}]"
        f"<extra>{theme.plain(size)}</extra>",
    )  # fmt: skip
