"""What a report says of experts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.experts.figures import experts_figure, seeds_figure
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel, Part

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_TITLE, _KEY = "Experts", "experts"
_INTRO = (
    "Which experts tokens are sent to: whether all are used, from when on a token goes where it goes in the end, and "
    "whether other seeds divide the work alike."
)
_PANELS = {
    "agreement": (
        "When routing settles",
        "Of the experts that a token has at the last step, the share that it has already",
    ),
    "entropy": ("How evenly experts are used", "Entropy of the experts' shares of all choices"),
}


def experts_parts(size: str, tables: Tables) -> list[Part]:
    """The part about experts of one size; none where the model has none.

    Args:
        tables: the rows of that size.
    """
    table = tables["experts"]
    if table.empty:
        return []
    if table["step"].nunique() < 2:
        return [Part(_KEY, _TITLE, _INTRO, notes=["Only one step was captured, so there is no curve along training."])]
    panels = [
        Panel(title, f"{text}; {_about(table)}.", experts_figure(table, measure), source="experts")
        for measure, (title, text) in _PANELS.items()
    ]
    seeds = tables["expert_seeds"]
    if seeds["step"].nunique() > 1:
        text = (
            "Experts of two seeds matched on one half of the sequences (Hungarian method) and compared on the other: "
            "the share of a token's experts that are the same, less what the loads give by chance; "
            f"median over {counted(len(seeds.groupby(['seed', 'beside_seed'])), 'pair')} of seeds, with their range."
        )
        panels.append(Panel("Whether seeds divide the work alike", text, seeds_figure(seeds), source="expert_seeds"))
    return [Part(_KEY, _TITLE, _INTRO, panels, notes=_notes(table))]


def _notes(table: pd.DataFrame) -> list[str]:
    last = table[(table["step"] == table["step"].max()) & (table["measure"] == "dead") & (table["value"] > 0)]
    if last.empty:
        return []
    named = [f"L{int(row.layer)} of seed {int(row.seed)}: {int(row.value)}" for row in last.itertuples()]
    return [
        f"Experts that no token was sent to at the last step, of {int(table['experts'].max())} in a layer, in "
        f"{int(last['choices'].min()):,} choices: {tidy.listing(named)}."
    ]


def experts_finding(size: str, tables: Tables, seeds: int) -> str:
    """How far routing was settled halfway, and how evenly experts are used at the end."""
    import numpy as np

    table = tables["experts"]
    if table.empty or table["step"].nunique() < 3:
        return ""
    agreement = tidy.of(table, measure="agreement")
    steps = tidy.integers(agreement["step"])
    before = max(step for step in steps if step < steps[-1])
    here = tidy.of(agreement, step=before)
    entropy = tidy.of(table, measure="entropy", step=steps[-1])
    even = float((entropy["value"] / np.log(entropy["experts"])).median())
    return (
        f"At {counting.at(before)}, tokens of {size} have {here['value'].median():.0%} of the experts that they have "
        f"at {counting.at(steps[-1])} (median over layers and {counted(seeds, 'seed')}; loads alone give "
        f"{here['chance'].median():.0%}); at the end the load's entropy is {even:.0%} of its largest."
    )


def _about(table: pd.DataFrame) -> str:
    choices = int(table["choices"].max())
    return f"{tidy.over_seeds(table)}; {choices:,} choices at a step; band: {tidy.band(table, 'sequences')}"
