"""Minimal pairs in pictures: how often the acceptable sentence is the likelier one, along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd

CHANCE = 0.5


def minimal_pairs_figure(table: pd.DataFrame, paradigms: Sequence[str]) -> Drawing:
    """Accuracy on some paradigms along training: the median over seeds with their range, chance as a dashed line.

    Args:
        table: columns seed, step, paradigm, accuracy, low, high, of one size and one way of scoring.

    Raises:
        ValueError: the table has none of these paradigms.
    """
    looks = theme.styles(paradigms)
    curves: list[Trace] = []
    for name in paradigms:
        here = tidy.of(table, paradigm=name)
        if len(here):
            curve = tidy.across_seeds(here, "accuracy", "low", "high")
            curves += step_curve(curve, theme.plain(name), looks[name], unit="")
    if not curves:
        raise ValueError("no minimal pairs")
    axis = {"title": {"text": "accuracy"}, "range": [-0.02, 1.02], "nticks": 7}
    across = steps_axis.axis(tidy.integers(table["step"]))
    figure = theme.figure(bands_behind(curves), 400, xaxis=across, yaxis=axis, showlegend=True)
    note = {"text": "chance", "x": 1, "xanchor": "right", "yanchor": "bottom"}
    return figure.across(CHANCE, {"color": theme.NEUTRAL, "dash": "dash", "width": 1.5}, note)
