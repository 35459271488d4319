"""When layers settle: the first step from which CKA to the final state stays at τ or above."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.seed_ends import last_steps, short_seeds
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, curve_with_band
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd


def settling_figure(
    settling: pd.DataFrame,
    size: str,
    component: str,
    *,
    tau: float = 0.9,
    steps: Sequence[int],
    seeds: Sequence[int] | None = None,
) -> Drawing:
    """The settling step of each layer: a dot with its interval per seed, a bar for the median over seeds.

    Args:
        settling: columns size, seed, layer, component, head, tau, settling_step, low, high, last_step, moved, reason
            and the baselines first_step, first_cka, shuffled.
        steps: the steps that were probed, for the axis.
        seeds: all seeds of the run, so that a seed has one colour in every figure.

    What never settles stands at the right edge, under "never", as an open triangle. What did not move is open, and has
    no bar: CKA was not surely below τ at the first step, or texts that do not match reach τ too. A seed that ends
    before others is called that, and its dots are not in the bar.

    Raises:
        ValueError: no such rows.
    """
    table = tidy.whole(tidy.of(settling, size=size, component=component, tau=tau))
    if table.empty:
        raise ValueError(f"no settling steps of {component} in {size} for τ = {tau:g}")
    here, short = tidy.integers(table["seed"]), short_seeds(last_steps(table))
    looks = theme.styles(seeds or here)
    layers = tidy.integers(table["layer"])
    edge = steps_axis.never_position(steps)
    traces = [_median_bars(table, edge)] if len(here) > 1 else []
    for number, seed in enumerate(here):
        offset = (number - (len(here) - 1) / 2) * 0.66 / len(here)
        name = f"seed {seed}" + (f" (ends at {counting.at(short[seed])})" if seed in short else "")
        traces.append(_seed_dots(tidy.of(table, seed=seed), name, looks[seed], offset, edge))
    shown = layers[:: -(-len(layers) // 16)]
    height = 130 + len(layers) * max(24, min(9 * len(here), 40))
    figure = theme.figure(
        traces,
        height,
        xaxis=steps_axis.axis(steps, never=True, at_most=11),
        yaxis={
            "title": {"text": "layer"}, "tickmode": "array", "tickvals": shown, "ticktext": [f"L{n}" for n in shown],
            "range": [min(layers) - 0.5, max(layers) + 0.5], "showgrid": True,
        },
    )  # fmt: skip
    border = (edge + steps_axis.position(max(steps))) / 2
    return figure.upright(border, {"color": theme.NEUTRAL, "dash": "dot", "width": 1})


def settling_by_depth(
    settling: pd.DataFrame, component: str, *, tau: float = 0.9, sizes: Sequence[str], steps: Sequence[int]
) -> Drawing:
    """Sizes compared: the median settling step over seeds against the depth of the layer in its model (0 to 1).

    Columns as for `settling_figure`; the band is the range over seeds. Layers that did not move are not drawn. Raises
    ValueError where there is nothing.
    """
    curves: list[Trace] = []
    looks = theme.styles(sizes)
    edge = steps_axis.never_position(steps)
    for size in sizes:
        table = tidy.whole(tidy.of(settling, size=size, component=component, tau=tau))
        middle = median_settling(table).sort_values("layer")
        last = max([1, *tidy.integers(middle["layer"])])
        middle = middle[middle["moved"]]
        if middle.empty:
            continue
        depth = [round(int(layer) / last, 3) for layer in middle["layer"]]
        steps_of, lows, highs = (_steps(middle[name]) for name in ("median", "low", "high"))
        curves += curve_with_band(
            depth,
            *([_place(step, edge) for step in places] for places in (steps_of, lows, highs)),
            name=theme.plain(size),
            look=looks[size],
            customdata=[
                [int(layer), _words(step), _words(low), _words(high)]
                for layer, step, low, high in zip(middle["layer"], steps_of, lows, highs, strict=True)
            ],
            columns=("layer", "settling step", "low", "high"),
            axes="x",
            hovertemplate="L%{customdata[0]} settles at step %{customdata[1]} [%{customdata[2]}, %{customdata[3]}]",
        )
    if not curves:
        raise ValueError(f"no settling steps of {component} for τ = {tau:g}")
    axis = steps_axis.axis(steps, never=True, at_most=8)
    low, high = steps_axis.position(min(steps)), edge
    room = (high - low) * 0.06
    axis |= {
        "title": {"text": steps_axis.settling_title()},
        "minor": None,
        "range": [low - room, high + room],
    }
    depth_axis = {"title": {"text": "depth of the layer (0 = first, 1 = last)"}, "range": [-0.04, 1.04]}
    return theme.figure(bands_behind(curves), 380, xaxis=depth_axis, yaxis={**axis, "showgrid": True})


def _median_bars(table: pd.DataFrame, edge: float) -> Trace:
    middle = median_settling(table)
    middle = middle[middle["moved"]]
    steps = _steps(middle["median"])
    return scatter(
        x=[_place(step, edge) for step in steps],
        y=[int(layer) for layer in middle["layer"]],
        customdata=[_words(step) for step in steps],
        meta=theme.held("settling step"),
        name="median",
        mode="markers",
        marker={"symbol": "line-ns", "size": 22, "line": {"width": 3, "color": theme.NEUTRAL}},
        hovertemplate="L%{y} settles at step %{customdata}<extra>median over seeds</extra>",
    )


def _seed_dots(table: pd.DataFrame, name: str, look: theme.Style, offset: float, edge: float) -> Trace:
    table = table.sort_values("layer")
    steps, low_steps, high_steps = (_steps(table[name]) for name in ("settling_step", "low", "high"))
    places = [_place(step, edge) for step in steps]
    lows = [min(_place(low, edge), here) for low, here in zip(low_steps, places, strict=True)]
    highs = [max(_place(high, edge), here) for high, here in zip(high_steps, places, strict=True)]
    layers = [int(layer) for layer in table["layer"]]
    words = zip(steps, low_steps, high_steps, strict=True)
    baselines = [_baseline(row) for row in table.to_dict("records")]
    return scatter(
        x=places,
        y=[round(layer + offset, 3) for layer in layers],
        meta=theme.held("layer", "settling step", "low", "high", "baseline", axes=""),
        customdata=[
            [layer, *map(_words, row), told] for layer, row, told in zip(layers, words, baselines, strict=True)
        ],
        name=name,
        mode="markers",
        marker={
            "color": look.colour, "size": 8 if len(places) <= 12 else 6,
            "symbol": [
                "triangle-right-open" if step is None else look.symbol if moved else f"{look.symbol}-open"
                for step, moved in zip(steps, table["moved"], strict=True)
            ],
        },
        error_x={
            "type": "data", "symmetric": False, "thickness": 1.5, "width": 0, "color": look.colour,
            "array": [round(high - here, 4) for high, here in zip(highs, places, strict=True)],
            "arrayminus": [round(here - low, 4) for low, here in zip(lows, places, strict=True)],
        },
        hovertemplate=(
            "L%{customdata[0]} settles at step %{customdata[1]}<br>interval [%{customdata[2]}, %{customdata[3]}]"
            "<br>%{customdata[4]}"
            f"<extra>{name}</extra>"
        ),
    )  # fmt: skip


def _steps(column: pd.Series[Any]) -> list[int | None]:
    """Steps as plain numbers, None for never: nullable ones are slow to look at one by one."""
    return [None if step is None else int(step) for step in tidy.numbers_or_none(column.astype("float64"))]


def _baseline(row: dict[Any, Any]) -> str:
    """`CKA 0.21 at step 0, 0.08 of texts that do not match`; "" where there is none."""
    first, shuffled = tidy.numbers_or_none([row["first_cka"], row["shuffled"]])
    if first is None:
        return ""
    told = f"CKA {first:.2f} at {counting.at(row['first_step'])}"
    return told if shuffled is None else f"{told}, {shuffled:.2f} of texts that do not match"


def _place(step: int | None, edge: float) -> float:
    return edge if step is None else steps_axis.position(step)


def _words(step: int | None) -> str | int:
    return "never" if step is None else step
