"""A behavioural curve over its phases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.bands import phase_bands
from phasescope.reports.kit.curves import step_curve
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    import pandas as pd


def phases_figure(curve: pd.DataFrame, phases: pd.DataFrame, title: str) -> Drawing:
    """A curve along training, with the bands of its phases behind it.

    Args:
        curve: columns step, value, low, high.
        phases: as for `phase_bands`.
        title: of the y-axis.

    Raises:
        ValueError: the curve has no value.
    """
    known = curve[curve["value"].notna()]
    if known.empty:
        raise ValueError("no curve to show phases of")
    # A colour that is none of the bands'.
    look = theme.Style(theme.QUALITATIVE[2], theme.SYMBOLS[0], theme.DASHES[0])
    traces = step_curve(known.sort_values("step"), theme.plain(title), look, unit="")
    axis = {"title": {"text": title}, "nticks": 7}
    steps = tidy.integers(known["step"])
    return theme.figure(traces, 340, xaxis=steps_axis.axis(steps), yaxis=axis, showlegend=False, **phase_bands(phases))
