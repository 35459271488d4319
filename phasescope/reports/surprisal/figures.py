"""What the models do: how surprising they find the text, and how far apart their seeds are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd

_SURPRISAL_TITLE = "surprisal (nats per token)"


def surprisal_figure(surprisal: pd.DataFrame, size: str, *, seeds: Sequence[int] | None = None) -> Drawing:
    """Surprisal along training, one curve and interval per seed, with the unigram's as a dashed line.

    Args:
        surprisal: columns size, seed, step, surprisal, low, high, unigram.
        seeds: all seeds of the run, so that a seed has one colour in every figure.

    Raises:
        ValueError: the table has no surprisal of that size.
    """
    table = tidy.of(surprisal, size=size)
    table = table[table["surprisal"].notna()]
    if table.empty:
        raise ValueError(f"no surprisal of {size}")
    here = tidy.integers(table["seed"])
    looks = theme.styles(seeds or here)
    curves: list[Trace] = []
    for seed in here:
        curve = tidy.across_seeds(tidy.of(table, seed=seed), "surprisal", "low", "high")
        curves += step_curve(curve, f"seed {seed}", looks[seed])
    return _finish(curves, tidy.integers(table["step"]), _SURPRISAL_TITLE, _unigram(table))


def sizes_figure(surprisal: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """Surprisal of all sizes: the median over seeds with the range of the seeds (one seed: its own interval).

    Columns as for `surprisal_figure`. Raises ValueError where no size has any.
    """
    table = surprisal[surprisal["surprisal"].notna()]
    curves: list[Trace] = []
    looks = theme.styles(sizes)
    for size in sizes:
        here = tidy.of(table, size=size)
        if len(here):
            curve = tidy.across_seeds(here, "surprisal", "low", "high")
            curves += step_curve(curve, theme.plain(size), looks[size])
    if not curves:
        raise ValueError("no surprisal of any size")
    return _finish(curves, tidy.integers(table["step"]), _SURPRISAL_TITLE, _unigram(table))


def _unigram(table: pd.DataFrame) -> float | None:
    known = table["unigram"].dropna()
    return None if known.empty else float(known.mean())


def _finish(curves: list[Trace], steps: list[int], title: str, unigram: float | None) -> Drawing:
    axis = {"title": {"text": title}, "rangemode": "normal" if unigram is not None else "tozero", "nticks": 7}
    # A lone curve is named by the title of its figure.
    legend = len({curve["legendgroup"] for curve in curves}) > 1
    figure = theme.figure(bands_behind(curves), 360, xaxis=steps_axis.axis(steps), yaxis=axis, showlegend=legend)
    if unigram is None:
        return figure
    note = {"text": f"unigram {unigram:.2f}", "x": 1, "xanchor": "right", "yanchor": "bottom"}
    return figure.across(round(unigram, 4), {"color": theme.NEUTRAL, "dash": "dash", "width": 1.5}, note)
