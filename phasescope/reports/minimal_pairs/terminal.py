"""Minimal pairs in the terminal: accuracy per paradigm along training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled_seeds
from phasescope.reports.kit import cells, tidy
from phasescope.reports.minimal_pairs.section import NOTES, SUMMARIES, by_score

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def minimal_pairs_table(table: pd.DataFrame) -> RenderableType:
    """Per size and paradigm: accuracy along training, at the end with its interval, and the margin there."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "There are no minimal pairs in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(table["size"]):
        here = tidy.of(table, size=size)
        brackets = "range" if pooled_seeds(here) > 1 else f"{tidy.level(here)} interval"
        over = f"{tidy.over_seeds(here)} [{brackets}]"
        view = cells.table(
            f"{size}: accuracy on minimal pairs",
            "paradigm",
            "along",
            ">last",
            ">margin",
            ">word",
            ">pairs",
            caption=f"{over}; curve from 0 to 1, chance is 0.5. Margin: nats per pair. Word: accuracy on the word that "
            "decides, given what is before it.",
        )
        present = list(dict.fromkeys(here["paradigm"]))
        for name in sorted(present, key=lambda name: (name not in SUMMARIES, present.index(name))):
            mine = tidy.of(here, paradigm=name)
            whole, word = by_score(mine, "whole"), by_score(mine, "word")
            curve = tidy.across_seeds(whole, "accuracy", "low", "high")
            last = curve.iloc[-1]
            at_end = whole[whole["step"] == last["step"]]
            decided = word[word["step"] == last["step"]]["accuracy"]
            label = cells.plain(name)
            label.overflow = "fold"
            view.add_row(
                label,
                cells.sparkline(curve["value"], 0, 1, at_most=10),
                cells.with_interval(last["value"], last["low"], last["high"]),
                cells.number(at_end["margin"].median(), 2),
                cells.number(decided.median() if len(decided) else None, 2),
                str(int(at_end["pairs"].max())),
            )
        parts += [view, ""]
    for note in (table.attrs.get(name) for name in NOTES):
        parts += [cells.plain(str(note)), ""] if note else []
    return Group(*parts[:-1])
