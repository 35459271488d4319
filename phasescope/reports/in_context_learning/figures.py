"""What models were asked, in pictures: corrupted and decoded text, questions with options, early and late tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.curves import bands_behind, curve_with_band
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd

# A legend and a colour scale that can still be read.
_MOST_STEPS = 7


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
            name=f"{counting.noun()} {steps_axis.label(step)}",
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
