"""The picture of the whole tool: when layers settle, over the phases that behaviour goes through, on one step axis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports.convergence.medians import median_settling, settled_from_start
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.bands import phase_bands
from phasescope.reports.kit.curves import step_curve
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd

_CURVE_HEIGHT, _ROW_HEIGHT, _GAP = 130, 26, 34
_TOP, _BOTTOM = 76, 58


def layers_over_phases(
    settling: pd.DataFrame, phases: pd.DataFrame, surprisal: pd.DataFrame, kl: pd.DataFrame, *, tau: float
) -> Drawing:
    """Above: surprisal and KL between seeds, phases as bands. Below, on the same axis: when each layer settles.

    All of one size.

    Args:
        settling: columns layer, component, head, seed, tau, settling_step, low, high, last_step, moved and baselines;
            what did not move is drawn open.
        phases: columns start, end, start_low, start_high, label, name, of one curve; the bands run through everything.
        surprisal: columns seed, step, surprisal, low, high; empty: not drawn.
        kl: columns step, kl, low, high; empty: not drawn.
        tau: which settling steps.

    Raises:
        ValueError: no layer has a settling step, found or "never".
    """
    middle = median_settling(tidy.whole(tidy.of(settling, tau=tau)))
    if middle.empty:
        raise ValueError(f"no settling steps for τ = {tau:g}")
    steps = sorted({*tidy.integers(surprisal["step"]), *tidy.integers(kl["step"]), 0, int(settling["last_step"].max())})
    curves = _curves(surprisal, kl)
    layers = tidy.integers(middle["layer"])
    components = tidy.ordered_components(middle["component"].unique())
    rows = max(_ROW_HEIGHT, 11 * len(components) + 10)
    below = rows * len(layers)
    inner = below + len(curves) * (_CURVE_HEIGHT + _GAP)
    axes: dict[str, Any] = {"yaxis": _layer_axis(layers, [0, below / inner])}
    traces = _settling_dots(middle, components, steps, tau)
    for number, (title, made) in enumerate(curves):
        bottom = (below + _GAP + number * (_CURVE_HEIGHT + _GAP)) / inner
        axis = f"y{number + 2}"
        domain = [bottom, bottom + _CURVE_HEIGHT / inner]
        axes[f"yaxis{number + 2}"] = {"title": {"text": title}, "domain": domain, "anchor": "x", "nticks": 4}
        traces += [{**trace, "yaxis": axis, "showlegend": False} for trace in made]
    figure = theme.figure(
        traces,
        int(inner) + _TOP + _BOTTOM,
        xaxis={**steps_axis.axis(steps, never=True, at_most=11), "anchor": "y"},
        legend={"orientation": "h", "x": 0, "y": 1 + 36 / inner, "xanchor": "left", "yanchor": "bottom"},
        margin={"l": 64, "r": 16, "t": _TOP, "b": _BOTTOM},
        **axes,
        **_bands(phases, below / inner, bool(curves)),
    )
    border = (steps_axis.never_position(steps) + steps_axis.position(max(steps))) / 2
    line = {"color": theme.NEUTRAL, "dash": "dot", "width": 1}
    place = {"x0": border, "x1": border, "y0": 0, "y1": below / inner, "xref": "x", "yref": "paper"}
    return figure.and_shapes({"type": "line", **place, "line": line})


def _curves(surprisal: pd.DataFrame, kl: pd.DataFrame) -> list[tuple[str, list[Trace]]]:
    """Title of the axis and traces, from the lowest panel up."""
    import pandas as pd

    look = theme.Style(theme.NEUTRAL, theme.SYMBOLS[0], theme.DASHES[0])
    found = []
    known = kl[kl["kl"].notna()]
    if known["step"].nunique() > 1:
        curve = known.sort_values("step").rename(columns={"kl": "value"})[["step", "value", "low", "high"]]
        found.append(("KL between<br>seeds (nats)", step_curve(curve, "KL between seeds", look)))
    known = surprisal[surprisal["surprisal"].notna()]
    if known["step"].nunique() > 1:
        curve = pd.DataFrame(tidy.across_seeds(known, "surprisal", "low", "high"))
        found.append(("surprisal<br>(nats)", step_curve(curve, "surprisal", look)))
    return found


def _layer_axis(layers: list[int], domain: list[float]) -> dict[str, Any]:
    shown = layers[:: -(-len(layers) // 16)]
    return {
        "title": {"text": "layer"}, "tickmode": "array", "tickvals": shown, "ticktext": [f"L{n}" for n in shown],
        "range": [min(layers) - 0.5, max(layers) + 0.5], "showgrid": False, "domain": domain,
    }  # fmt: skip


def _settling_dots(middle: pd.DataFrame, components: list[str], steps: list[int], tau: float) -> list[Trace]:
    """A dot with its range per layer and component; components of a layer stand a little apart."""
    import pandas as pd

    looks, edge = theme.styles(components), steps_axis.never_position(steps)

    def place(step: Any) -> float:
        return edge if pd.isna(step) else steps_axis.position(int(step))

    traces = []
    for number, component in enumerate(components):
        rows = tidy.of(middle, component=component).sort_values("layer")
        offset = ((len(components) - 1) / 2 - number) * 0.66 / len(components)
        here = [place(step) for step in rows["median"]]
        look = looks[component]
        words = [
            ["never" if pd.isna(step) else str(int(step)) for step in row]
            for row in rows[["median", "low", "high"]].itertuples(index=False)
        ]
        unseen = ["" if rows["moved"].iloc[row] else _unseen(rows.iloc[[row]], tau) for row in range(len(rows))]
        traces.append(
            scatter(
                x=here,
                y=[round(int(layer) + offset, 3) for layer in rows["layer"]],
                name=theme.plain(component),
                mode="markers",
                marker={
                    "color": look.colour, "size": 9,
                    "symbol": [
                        "triangle-right-open" if value == edge else f"{look.symbol}{'-open' * bool(not_moved)}"
                        for value, not_moved in zip(here, unseen, strict=True)
                    ],
                },
                error_x={
                    "type": "data", "symmetric": False, "thickness": 2.2, "width": 0, "color": look.colour,
                    "array": [round(max(place(high) - x, 0), 4) for high, x in zip(rows["high"], here, strict=True)],
                    "arrayminus": [round(max(x - place(low), 0), 4) for low, x in zip(rows["low"], here, strict=True)],
                },
                meta=theme.held("layer", "settling step", "low", "high", axes=""),
                customdata=[
                    [int(layer), *row, told] for layer, row, told in zip(rows["layer"], words, unseen, strict=True)
                ],
                hovertemplate="L%{customdata[0]}." + theme.plain(component) + " settles at step %{customdata[1]} "
                "[%{customdata[2]}, %{customdata[3]}]%{customdata[4]}<extra></extra>",
            )
        )  # fmt: skip
    return traces


def _unseen(row: pd.DataFrame, tau: float) -> str:
    return f"<br>not seen to settle: {settled_from_start(row, tau)}"


def _bands(phases: pd.DataFrame, top_of_layers: float, curves: bool) -> dict[str, Any]:
    """The bands run from the curves down through the layers; their names stand above all."""
    bands = phase_bands(phases)
    for word in bands["annotations"]:
        # Above the bars of the boundaries.
        word |= {"y": 1.0 if curves else top_of_layers, "yanchor": "bottom", "yshift": 3}
    return bands
