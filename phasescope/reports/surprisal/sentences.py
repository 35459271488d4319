"""What surprisal does, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.tables import Tables

if TYPE_CHECKING:
    import pandas as pd


def surprisal_finding(size: str, tables: Tables, seeds: int) -> str:
    """From where to where surprisal goes, and how it stands to the unigram's."""
    table = tables["surprisal"][tables["surprisal"]["surprisal"].notna()]
    if table["step"].nunique() < 2:
        return ""
    points = tidy.across_seeds(table, "surprisal", "low", "high").set_index("step")
    curve = points["value"]
    first, last = curve.iloc[0], curve.iloc[-1]
    begin, end = (f"{tidy.interval(*points.iloc[at])} at {counting.at(curve.index[at])}" for at in (0, -1))
    way = "falls" if last < first else "rises"
    if f"{first:.2f}" == f"{last:.2f}":
        way = "hardly changes,"
    sentence = f"The surprisal of {size} {way} from {begin} to {end} "
    sentence += f"(nats per token; {tidy.seeds_and_range(table, tidy.level(table))})"
    known = table["unigram"].dropna()
    if known.empty:
        return sentence + "."
    unigram = float(known.mean())
    if last >= unigram:
        return f"{sentence}, {last - unigram:.2f} above the {unigram:.2f} of token frequencies alone."
    since = _since(curve < unigram)
    below = f"{unigram - last:.2f} below the {unigram:.2f} of token frequencies alone"
    return f"{sentence}, {below}, which it passes at {counting.at(since)}."


def _since(below: pd.Series[bool]) -> int:
    """The first step from which a condition holds for good; it holds at the last."""
    steps = list(below.index)
    holds = list(below)
    start = len(holds) - 1
    while start and holds[start - 1]:
        start -= 1
    return int(steps[start])
