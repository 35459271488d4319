"""The part of a report about what models gain from what they have read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.in_context_learning.figures import loss_by_position_figure, score_figure
from phasescope.reports.kit import tidy
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import RunLike, Tables

_TITLE, _KEY = "Learning in context", "context"


def in_context_learning_part(run: RunLike) -> Part:
    """The score along training, and loss by position; where there is nothing to show, why."""
    try:
        scores, losses = run.table("in_context_learning"), run.table("loss_by_position")
    except PhasescopeError as error:
        return Part(_KEY, _TITLE, "", notes=[str(error)])
    if scores.empty:
        return Part(_KEY, _TITLE, "", notes=[str(scores.attrs.get("absent") or "No outputs were captured.")])
    if scores["step"].nunique() < 2:
        return Part(_KEY, _TITLE, "", notes=["Only one step was captured, so there is no curve along training."])
    intro = "Whether a model predicts better the more of a text it has read: the loss late in the context minus early."
    early, late = scores[["early", "late"]].iloc[0]
    score = (
        f"Mean loss of token{_s(late)} {late} minus that of token{_s(early)} {early} of the same windows: below zero, "
        f"what was read helps; {_about(scores)}."
    )
    sizes = [size for size in run.sizes if size in set(losses["size"])]
    control = Control("size", "Size", [(size, size) for size in reversed(sizes)])
    context = int(losses["last"].max()) + 1

    def draw(size: str) -> Drawing:
        return loss_by_position_figure(tidy.of(losses, size=size), context)

    others = variants([control], lambda size: traces_of(draw(size)))
    text = f"Mean loss of the tokens at each position (bins that widen) at some of the steps; {_about(losses)}."
    panels = [
        Panel("In-context-learning score", score, score_figure(scores, run.sizes), source="in_context_learning"),
        Panel("Loss by position", text, draw(control.options[0][0]), ("size",), others, source="loss_by_position"),
    ]
    return Part(_KEY, _TITLE, intro, panels, controls=[control] if len(sizes) > 1 else [])


def in_context_learning_finding(size: str, tables: Tables, seeds: int) -> str:
    """Whether the size predicts late tokens better than early ones at the end, beside how it began."""
    table = tables["in_context_learning"][tables["in_context_learning"]["score"].notna()]
    if table["step"].nunique() < 2:
        return ""
    curve = tidy.across_seeds(table, "score", "low", "high")
    begin, end = curve.iloc[0], curve.iloc[-1]
    lowest, highest = tidy.outermost(table)
    sure = f"not surely different from none, as intervals of single seeds reach from {lowest:.2f} to {highest:.2f}"
    if highest != highest:
        sure = "of one sequence there is no interval"
    elif highest < 0:
        sure = "what was read helps"
    elif lowest > 0:
        sure = "late tokens are harder"
    early, late = table[["early", "late"]].iloc[0]
    over = tidy.seeds_and_range(table, tidy.level(table))
    score, first = (tidy.interval(row["value"], row["low"], row["high"]) for row in (end, begin))
    return (
        f"At {counting.at(end['step'])}, the loss of {size} on token{_s(late)} {late} minus that on token{_s(early)} "
        f"{early} of the same windows is {score} nats: {sure} ({over}); at {counting.at(begin['step'])} it is {first}."
    )


def _s(positions: str) -> str:
    return "s" if "-" in positions else ""


def _about(table: pd.DataFrame) -> str:
    band = tidy.band(table, "sequences")
    return f"{tidy.over_seeds(table)}; {counted(int(table['sequences'].max()), 'sequence')}; band: {band}"
