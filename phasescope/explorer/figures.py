"""The explorer's pictures, in the look of the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, heatmap, scatter
from phasescope.reports.kit.site_panel import HEIGHT

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import NDArray

# Rows and columns that can still be told apart; labels that can still be read.
MOST_ROWS, MOST_LABELS = 40, 48
_TALLEST = 900
_MEASURES = {"cosine": "cosine to the last step", "norm": "length of the activation"}


def spectrum_figure(spectra: Mapping[str, Float[NDArray[Any], "k"]]) -> Drawing:
    """Singular values, largest first, on a logarithmic axis: the first curve is the one to look at."""
    looks = [("#0072B2", "solid", 2.4), (theme.QUALITATIVE[4], "dash", 1.6), (theme.NEUTRAL, "dot", 1.6)]
    curves = [
        scatter(
            x=list(range(1, len(values) + 1)),
            y=[float(f"{value:.4g}") if value > 0 else None for value in values.tolist()],
            name=name,
            mode="lines",
            line={"color": colour, "dash": dash, "width": width},
            hovertemplate="value %{x}: %{y:.3g}<extra>" + name + "</extra>",
        )
        for (name, values), (colour, dash, width) in zip(spectra.items(), looks, strict=False)
    ]
    return theme.figure(
        curves,
        HEIGHT,
        xaxis={"title": {"text": "singular value, largest first"}},
        yaxis={"type": "log", "title": {"text": "size"}, **_log_ticks(np.concatenate(list(spectra.values())))},
    )


def strip_figure(
    tokens: Sequence[str],
    steps: Sequence[int],
    values: Float[NDArray[Any], "steps tokens"],
    measure: str,
    *,
    at: int | None = None,
) -> Drawing:
    """Token by token and step by step: a heat map, early steps at the top, a token to each column.

    measure: `cosine` or `norm`. at: the row to be framed.
    """
    cosine = measure == "cosine"
    shown = [theme.plain(token) for token in tokens]
    cells = heatmap(
        x=list(range(len(tokens))),
        y=list(range(len(steps))),
        z=[tidy.numbers_or_none(row) for row in np.round(values, 3).tolist()],
        text=[shown] * len(steps),
        customdata=[[step] * len(tokens) for step in steps],
        hovertemplate="“%{text}”, "
        + counting.hover("customdata")
        + "<br>"
        + _MEASURES[measure]
        + " %{z:.3f}<extra></extra>",
        hoverongaps=False,
        colorscale=theme.sequential(),
        zmin=0 if cosine else None,
        zmax=1 if cosine else None,
        xgap=1 if len(tokens) <= 80 else 0,
        ygap=1,
        colorbar={"title": {"text": _MEASURES[measure], "side": "right"}, "thickness": 10, "outlinewidth": 0},
    )
    labelled = range(len(tokens)) if len(tokens) <= MOST_LABELS else ()
    few = range(0, len(steps), -(-len(steps) // 14))
    frame = {"color": theme.NEUTRAL, "width": 2}
    return theme.figure(
        [cells],
        min(max(HEIGHT, 150 + 16 * len(steps)), _TALLEST),
        margin={"l": 56, "r": 16, "t": 16, "b": 24},
        xaxis={
            "tickmode": "array",
            "tickvals": list(labelled),
            "ticktext": [_short(shown[place]) for place in labelled],
            "tickangle": -50 if len(tokens) > 10 and max(map(len, tokens)) > 2 else 0,
            "title": {"text": None if labelled else counted(len(tokens), "token")},
        },
        yaxis={
            "tickmode": "array",
            "tickvals": list(few),
            "ticktext": [steps_axis.label(steps[row]) for row in few],
            "title": {"text": steps_axis.title(short=True)},
            "autorange": "reversed",
            "showgrid": False,
        },
        shapes=[]
        if at is None
        else [
            {"type": "rect", "x0": -0.5, "x1": len(tokens) - 0.5, "y0": at - 0.5, "y1": at + 0.5, "line": frame},
        ],
    )


def live_curves(seen: pd.DataFrame, steps: Sequence[int], seeds: Sequence[int]) -> Drawing:
    """What a live probe has found so far, per seed: debiased CKA of all tokens to the last step, and effective rank.

    seen: columns seed, step, cka, rank (over the largest that is possible). seeds: all of the size, so that each has
    the colour that it has elsewhere.
    """
    looks = theme.styles(seeds)
    kinds = {"cka": ("CKA to the last step", "solid"), "rank": ("effective rank", "dot")}
    curves = []
    for seed in tidy.integers(seen["seed"]):
        for name, (label, dash) in kinds.items():
            rows = tidy.of(seen, seed=seed).sort_values("step")
            curves.append(
                scatter(
                    x=[steps_axis.position(step) for step in rows["step"]],
                    y=tidy.numbers_or_none(rows[name]),
                    customdata=rows["step"].tolist(),
                    name=f"seed {seed}",
                    legendgroup=f"seed {seed}",
                    showlegend=name == "cka",
                    mode="lines+markers",
                    line={"color": looks[seed].colour, "dash": dash, "width": 2},
                    marker={"symbol": looks[seed].symbol, "size": 6},
                    hovertemplate=counting.hover("customdata")
                    + "<br>%{y:.3f}<extra>"
                    + f"{label}, seed {seed}"
                    + "</extra>",
                )
            )
    return theme.figure(
        curves,
        HEIGHT,
        xaxis=steps_axis.axis(list(steps)),
        yaxis={"title": {"text": "CKA (solid), share of rank (dotted)"}},
        showlegend=True,
    )


def step_line(step: int) -> dict[str, Any]:
    """The cursor: a line at the step of the slider."""
    place = steps_axis.position(step)
    line = {"color": theme.NEUTRAL, "width": 1.5}
    return {"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def nothing(why: str) -> Drawing:
    """Axes' place with a sentence in it."""
    hidden = {"visible": False}
    said = {"text": _broken(theme.plain(why)), "showarrow": False, "font": {"size": 14}}
    note = {**said, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"}
    return theme.figure([], HEIGHT, xaxis=hidden, yaxis=hidden, annotations=[note])


def _log_ticks(values: Float[NDArray[Any], "values"]) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 of each decade of what is drawn; at its powers of ten alone where it spans many."""
    drawn = values[values > 0]
    if not len(drawn):
        return {}
    low, high = math.floor(math.log10(drawn.min())), math.ceil(math.log10(drawn.max()))
    digits = (1, 2, 5) if high - low <= 3 else (1,)
    places = [digit * 10.0**decade for decade in range(low, high + 1) for digit in digits]
    return {"tickmode": "array", "tickvals": places, "ticktext": [f"{place:g}" for place in places]}


def _short(text: str) -> str:
    return text if len(text) <= 14 else text[:13] + "…"


def _broken(text: str, width: int = 36) -> str:
    """Over lines that fit a page of 390 pixels, for plotly does not break any itself."""
    lines: list[str] = [""]
    for word in text.split():
        lines[-1:] = [f"{lines[-1]} {word}".strip()] if len(lines[-1]) + len(word) < width else [lines[-1], word]
    return "<br>".join(lines)


def colour_at(value: float) -> tuple[str, str]:
    """Background and ink of a number from 0 to 1, for text that is coloured as the heat maps are."""
    from plotly.colors import sample_colorscale

    share = 0.0 if math.isnan(value) else min(max(value, 0.0), 1.0)
    background: str = sample_colorscale(theme.sequential(), [share])[0]
    return background, "#111" if share > 0.55 else "#fff"
