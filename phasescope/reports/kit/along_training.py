"""Curves along training of what models were asked, each the median over seeds with their range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd


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
