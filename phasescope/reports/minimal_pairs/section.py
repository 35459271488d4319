"""The part of a report about minimal pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.bands import behind_wordless
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.minimal_pairs.figures import CHANCE, minimal_pairs_figure
from phasescope.reports.phases.bands import with_bands

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

WHOLE = "full_sentence"
SUMMARIES = {"all": "all paradigms", "own_all": "phasescope's own paradigms"}
"""The means over paradigms, the better known first."""
NOTES = ("unscored", "identical")
"""Attributes of the table that are sentences for people."""
# More curves than this are hard to tell apart.
_AT_ONCE = 6
_SCORES = Control("score", "Scored", [("whole", "whole sentences"), ("word", "the word that decides")])


def minimal_pairs_part(size: str, tables: Tables) -> Part:
    """How often a size prefers the acceptable sentence, along training; `tables` of that size."""
    title, key = "Minimal pairs", "minimal-pairs"
    intro = "Of two sentences that differ in one thing, how often the acceptable one is the likelier."
    table = tables["minimal_pairs"]
    why = no_trajectory(table, "accuracy", "minimal pairs", tables.why("minimal_pairs"))
    if why:
        return Part(key, title, intro, notes=[why])
    present = list(dict.fromkeys(table["paradigm"]))
    first = [name for name in SUMMARIES if name in present]
    rest = sorted((name for name in present if name not in SUMMARIES), key=lambda name: name.startswith("own_"))
    groups = [[*first, *rest]] if len(first) + len(rest) <= _AT_ONCE else [first, *_cut(rest)]
    panels = [with_bands(_panel(table, group), tables, behind_wordless) for group in groups if group]
    shown = 1 if len(groups) > 3 and first else len(panels)
    notes = [str(table.attrs[name]) for name in NOTES if table.attrs.get(name)]
    return Part(
        key,
        title,
        intro,
        panels[:shown],
        folded=panels[shown:],
        folded_title="Single paradigms" if shown < len(panels) else "",
        notes=notes,
        controls=[_SCORES] if any(panel.controls for panel in panels) else [],
    )


def minimal_pairs_finding(size: str, tables: Tables, seeds: int) -> str:
    """How often the acceptable sentence is preferred at the end, and at the beginning."""
    table = tidy.of(tables["minimal_pairs"], method=WHOLE)
    if table["step"].nunique() < 2:
        return ""
    name = next((name for name in SUMMARIES if (table["paradigm"] == name).any()), str(table["paradigm"].iloc[0]))
    mine = tidy.of(table, paradigm=name)
    curve = tidy.across_seeds(mine, "accuracy", "low", "high")
    begin, end = curve.iloc[0], curve.iloc[-1]
    lowest, highest = tidy.outermost(mine)
    sure = "beyond chance" if lowest > CHANCE else "below chance" if highest < CHANCE else "not surely beyond chance"
    over = tidy.seeds_and_range(mine, tidy.level(mine))
    return (
        f"At {counting.at(end['step'])}, {size} finds the acceptable sentence the likelier one in "
        f"{tidy.percent(end['value'], end['low'], end['high'])} of {counted(int(mine['pairs'].max()), 'minimal pair')} "
        f"({SUMMARIES.get(name, name)}; {over}), {sure}; at {counting.at(begin['step'])} in "
        f"{tidy.percent(begin['value'], begin['low'], begin['high'])}."
    )


def by_score(table: pd.DataFrame, score: str) -> pd.DataFrame:
    """The rows of whole sentences, or of the word that decides."""
    whole = table["method"] == WHOLE
    return table[whole if score == "whole" else ~whole]


def _cut(names: list[str]) -> list[list[str]]:
    return [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)]


def _panel(table: pd.DataFrame, names: list[str]) -> Panel:
    mine = table[table["paradigm"].isin(names)]

    def draw(score: str) -> Drawing:
        return minimal_pairs_figure(by_score(mine, score), names)

    def patch(score: str) -> list[dict[str, Any]] | None:
        return traces_of(draw(score)) if len(by_score(mine, score)) else None

    others = variants([_SCORES], patch)
    summary = all(name in SUMMARIES for name in names)
    own = [name for name in names if name.startswith("own_")]
    title = "Mean over paradigms" if summary else names[0]
    if len(names) > 1 and not summary:
        title = "phasescope's own paradigms" if len(own) == len(names) else tidy.listing(names, at_most=2)
    return Panel(
        title, _caption(mine, summary), draw("whole"), ("score",) if others else (), others, source="minimal_pairs"
    )


def _caption(table: pd.DataFrame, summary: bool) -> str:
    counts = by_score(table, "whole")["pairs"]
    most, least = int(counts.max()), int(counts.min())
    pairs = counted(most, "pair") if most == least else f"{least:,} to {most:,} pairs"
    band = tidy.band(table, "pairs")
    own = table["paradigm"].str.startswith("own_").any()
    text = (
        f"Share of pairs whose acceptable sentence has the higher probability (a tie counts half); {pairs}"
        f"{' in all' if summary else ''}; {tidy.over_seeds(table)}; band: {band}. The word that decides is scored "
        "given what is before it."
    )
    return text + (" Paradigms that begin with own_ are a small set of phasescope's, not BLiMP." if own else "")
