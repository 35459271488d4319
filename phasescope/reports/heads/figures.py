"""Heads along training: a map of what each looks at, and the curves of the strongest induction head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.curves import step_star
from phasescope.reports.kit.drawing import Drawing, Trace, scatter
from phasescope.reports.kit.step_map import Row, step_map

if TYPE_CHECKING:
    import pandas as pd

SCORES = {
    "induction": "Induction",
    "duplicate_token": "Duplicate token",
    "previous_token": "Previous token",
    "first_token": "First token (sink)",
    "entropy": "Entropy (nats)",
}


def head_map(heads: pd.DataFrame, score: str, bumps: pd.DataFrame | None = None) -> Drawing:
    """One score of every head by step, median over seeds: heads stand layer by layer, the first of a layer lowest.

    Args:
        heads: columns seed, step, layer, head, score, value, of one size.
        score: which.
        bumps: the table `induction_heads` of that size; if given, a ring marks where each head forms.

    Raises:
        ValueError: no head has that score.
    """
    share = score != "entropy"
    figure, rows = step_map(
        tidy.of(heads, score=score),
        "value",
        unit="" if share else " nats",
        bounds=(0, 1 if share else None),
        per_head=True,
    )
    rings = _rings(bumps, rows) if bumps is not None and score == "induction" else []
    return Drawing([*figure.data, *rings], figure.layout)


def _rings(bumps: pd.DataFrame, rows: Sequence[Row]) -> list[Trace]:
    """Where each head forms: the median over the seeds in which it does."""
    found = bumps[bumps["head"].notna() & bumps["forms_step"].notna()]
    middle = found.groupby(["layer", "head"])["forms_step"].median().reset_index().to_numpy(dtype=float).tolist()
    marks = [(rows.index((int(layer), int(head))), layer, head, step) for layer, head, step in middle]
    if not marks:
        return []
    return [
        scatter(
            x=[steps_axis.position(step) for *_, step in marks],
            y=[row for row, *_ in marks],
            customdata=[[int(layer), int(head), round(step)] for _, layer, head, step in marks],
            meta=theme.held("layer", "head", "step", axes=""),
            mode="markers",
            name="forms",
            marker={"symbol": "circle", "size": 9, "color": "white", "line": {"color": "black", "width": 1.6}},
            hovertemplate="L%{customdata[0]} head %{customdata[1]} forms at step %{customdata[2]}<extra></extra>",
            showlegend=False,
        )
    ]


def strongest_figure(repetition: pd.DataFrame, bumps: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """The strongest induction head along training, one curve for each size, with a star where it forms.

    Columns size, seed, step, strongest, strongest_low, strongest_high; of `induction_heads` its own.
    Raises ValueError where there is no score.
    """
    looks = theme.styles(sizes)
    parts = {size: tidy.of(repetition, size=size) for size in sizes}
    columns = ("strongest", "strongest_low", "strongest_high")
    figure = along_training(parts, columns, "induction beyond twins (share of attention)", looks=looks)
    whole = bumps[bumps["head"].isna() & bumps["forms_step"].notna()]
    stars: list[Trace] = []
    for size in sizes:
        mine = tidy.of(whole, size=size)
        if mine.empty:
            continue
        at, low, high = (round(float(mine[edge].median())) for edge in ("forms_step", "low", "high"))
        stars.append(
            step_star(
                (at, low, high),
                float(mine["highest"].median()) / 2,
                looks[size],
                name=f"{theme.plain(size)} forms",
                hovertemplate="forms at step %{customdata[0]} [%{customdata[1]}, %{customdata[2]}]<extra></extra>",
                legendgroup=theme.plain(size),
            )
        )
    return Drawing([*figure.data, *stars], figure.layout)


def gain_figure(repetition: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """What repeating is worth along training, one curve for each size, and zero.

    Columns size, seed, step, gain, low, high. Raises ValueError where there is no loss.
    """
    parts = {size: tidy.of(repetition, size=size) for size in sizes}
    title = "loss of twins − loss where it repeats (nats)"
    figure = along_training(parts, ("gain", "low", "high"), title, unit=" nats", looks=theme.styles(sizes))
    return figure.across(0, {"color": theme.NEUTRAL, "dash": "dash", "width": 1.5})
