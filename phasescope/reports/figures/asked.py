"""What models were asked, in pictures: corrupted and decoded text, questions with options, early and late tokens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports import steps_axis, theme, tidy
from phasescope.reports.drawing import Drawing, Trace, scatter
from phasescope.reports.figures.curves import bands_behind, curve_with_band, step_curve

if TYPE_CHECKING:
    import pandas as pd

# A legend and a colour scale that can still be read.
_MOST_STEPS = 7


def along_training(
    parts: Mapping[str, pd.DataFrame],
    columns: tuple[str, str, str],
    title: str,
    *,
    unit: str = "",
    log: bool = False,
    faint: Mapping[str, float] | None = None,
    looks: Mapping[str, theme.Style] | None = None,
) -> Drawing:
    """Curves over training steps, each the median over seeds with their range, or one seed with its interval.

    Args:
        parts: by the name of the curve, rows with columns seed, step, and those of value, low and high.
        columns: value, low, high.
        title: of the axis. unit: after each number, such as ` nats`. log: a logarithmic axis.
        faint: by name, numbers that are the same all along, as dashed lines.
        looks: of each curve, where several figures share them.

    Raises:
        ValueError: no part has a number.
    """
    known = {name: table[table[columns[0]].notna()] for name, table in parts.items()}
    known = {name: table for name, table in known.items() if len(table)}
    if not known:
        raise ValueError(f"nothing to draw of {title}")
    styles = looks or theme.styles(known)
    steps = sorted({step for table in known.values() for step in tidy.integers(table["step"])})
    curves: list[Trace] = []
    for name, table in known.items():
        curves += step_curve(tidy.across_seeds(table, *columns), theme.plain(name), styles[name], unit)
    for name, value in (faint or {}).items():
        x = [steps_axis.position(steps[0]), steps_axis.position(steps[-1])]
        line = {"color": theme.NEUTRAL, "dash": "dash", "width": 1.5}
        curves.append(scatter(x=x, y=[value] * 2, name=name, mode="lines", line=line, hoverinfo="skip"))
    axis = {
        "title": {"text": title},
        **({"type": "log", **_log_ticks(known, columns)} if log else {}),
    }
    if not log:
        axis["nticks"] = 7
    legend = len(known) + len(faint or {}) > 1
    return theme.figure(bands_behind(curves), 360, xaxis=steps_axis.axis(steps), yaxis=axis, showlegend=legend)


def _log_ticks(parts: Mapping[str, pd.DataFrame], columns: tuple[str, str, str]) -> dict[str, Any]:
    values = [float(value) for table in parts.values() for value in (table[columns[0]].min(), table[columns[0]].max())]
    return steps_axis.log_ticks(min(values), max(values))


def by_rate_figure(noise: pd.DataFrame, step: int) -> Drawing:
    """How many times the clean perplexity corrupted text has at one step, by rate; one curve for each kind of noise.

    Args:
        noise: columns seed, step, kind, rate, ratio, ratio_low, ratio_high, of one size; the rows of decoded text,
            which has no rate, are left out.

    Raises:
        ValueError: no ratio at that step.
    """
    import pandas as pd

    table = noise[(noise["step"] == step) & noise["ratio"].notna() & (noise["rate"] > 0)]
    if table.empty:
        raise ValueError(f"no ratio at step {step}")
    clean = noise[(noise["step"] == step) & (noise["kind"] == "clean")]
    # With the colours that kinds have where the clean text has one too.
    looks = theme.styles(["clean", *dict.fromkeys(table["kind"])])
    curves: list[Trace] = []
    for kind, look in list(looks.items())[1:]:
        here = pd.concat([clean, tidy.of(table, kind=kind)]).assign(step=lambda rows: rows["rate"])
        curve = tidy.across_seeds(here, "ratio", "ratio_low", "ratio_high")
        low, high = (tidy.numbers_or_none(curve[edge].round(4)) for edge in ("low", "high"))
        curves += curve_with_band(
            [100 * rate for rate in curve["step"]],
            tidy.numbers_or_none(curve["value"].round(4)),
            low,
            high,
            name=theme.plain(str(kind).replace("_", " ")),
            look=look,
            customdata=list(zip(low, high, strict=True)),
            columns=("low", "high"),
            axes="xy",
            hovertemplate="%{x:g} % of tokens<br>%{y:.3g} [%{customdata[0]:.3g}, %{customdata[1]:.3g}] times",
        )
    across = {"title": {"text": "part of the tokens (%)"}, "ticksuffix": " %"}
    up = {"title": {"text": "perplexity / clean perplexity"}, "type": "log"}
    up |= steps_axis.log_ticks(min(1.0, float(table["ratio"].min())), float(table["ratio"].max()))
    return theme.figure(bands_behind(curves), 360, xaxis=across, yaxis=up, showlegend=len(looks) > 2)


def loss_by_position_figure(losses: pd.DataFrame, context: int) -> Drawing:
    """Loss against the position in the window, one curve for each of a few steps, median over seeds.

    Args:
        losses: columns seed, step, first, last, loss, low, high, of one size.

    Raises:
        ValueError: there is no loss.
    """
    known = losses[losses["loss"].notna()]
    if known.empty:
        raise ValueError("no loss by position")
    steps = steps_axis.ticks(tidy.integers(known["step"]), _MOST_STEPS)
    curves: list[Trace] = []
    for number, step in enumerate(steps):
        here = tidy.of(known, step=step).assign(step=lambda rows: (rows["first"] * rows["last"]) ** 0.5)
        curve = tidy.across_seeds(here, "loss", "low", "high")
        low, high = (tidy.numbers_or_none(curve[edge].round(4)) for edge in ("low", "high"))
        edges = here.drop_duplicates("first")[["first", "last"]].to_numpy().tolist()
        curves += curve_with_band(
            curve["step"].round(3).tolist(),
            tidy.numbers_or_none(curve["value"].round(4)),
            low,
            high,
            name=f"step {steps_axis.label(step)}",
            look=theme.depth_style(number, len(steps)),
            customdata=[[*edge, *ends] for edge, *ends in zip(edges, low, high, strict=True)],
            columns=("first", "last", "low", "high"),
            hovertemplate="tokens %{customdata[0]} to %{customdata[1]}<br>%{y:.3f} [%{customdata[2]:.3f}, "
            "%{customdata[3]:.3f}] nats",
        )
    across = {
        "title": {"text": "position in the window (tokens)"},
        "type": "log",
        "range": [-0.05, math.log10(context)],
    }
    across |= {"tickvals": _round_numbers(context)}
    up = {"title": {"text": "surprisal (nats per token)"}, "nticks": 7}
    return theme.figure(bands_behind(curves), 360, xaxis=across, yaxis=up, showlegend=len(steps) > 1)


def _round_numbers(context: int) -> list[int]:
    return [digit * 10**power for power in range(6) for digit in (1, 2, 5) if digit * 10**power <= context]


def score_figure(scores: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """The in-context-learning score along training, one curve for each size, and zero.

    Columns size, seed, step, score, low, high. Raises ValueError where there is no score.
    """
    parts = {size: tidy.of(scores, size=size) for size in sizes}
    figure = along_training(
        parts,
        ("score", "low", "high"),
        "late loss − early loss (nats)",
        unit=" nats",
        looks=theme.styles(sizes),
    )
    return figure.across(0, {"color": theme.NEUTRAL, "dash": "dash", "width": 1.5})
