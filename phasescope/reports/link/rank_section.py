"""The part of a report about what effective rank explains: when layers settle, how they stay, how close they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.analyses.link.rank import compared
from phasescope.analyses.link.shares import sites_of
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.link.rank_figures import correlations_figure, rank_and_settling
from phasescope.reports.link.terminal import rank_sentences

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

FEWEST_POINTS = 10
"""Layers and seeds without which a cloud of points shows nothing that a reader should believe."""


def link_rank_part(tables: Tables, sizes: Sequence[str]) -> Part:
    """Settling and instability against the rank of what writes a layer's output, all sizes together."""
    title, key = "What effective rank explains", "rank"
    intro = "Whether layers whose weights use less of their room settle later, or move back more after settling."
    if why := tables.why("link_rank"):
        return Part(key, title, intro, notes=[why])
    if tables["convergence"]["step"].nunique() < 2:
        return Part(key, title, intro, notes=["Settling steps need checkpoints at two steps or more."])
    known = _compared(tables)
    panels, few = [], []
    for component in tidy.ordered_components(known["component"].unique()):
        mine, found = tidy.of(known, component=component), tidy.of(tables["link_rank"], component=component)
        if len(mine) < FEWEST_POINTS:
            few.append(f"{component} ({len(mine)})")
            continue
        steps = tidy.integers(tables["convergence"]["step"])
        figure = rank_and_settling(mine, steps)
        source = "settling, convergence, rank, link_rank"
        panels.append(Panel(f"Rank and settling of {component}", _caption(mine, found), figure, source=source))
    correlations = tables["link_rank"][
        tables["link_rank"]["method"].eq("correlation") & tables["link_rank"]["estimate"].notna()
    ]
    if len(correlations):
        figure = correlations_figure(correlations, sizes)
        panels.append(
            Panel("Correlation of rank with CKA", _correlations_caption(correlations), figure, source="link_rank")
        )
    notes = [] if panels or few else ["There is no layer whose settling and whose weights' rank are both known."]
    if few:
        notes.append(
            f"Too few layers and seeds for a picture of rank and settling, which takes {FEWEST_POINTS} points: "
            f"{tidy.listing(few)}. What the models say of them is in results/link_rank.parquet."
        )
    return Part(key, title, intro, panels, notes=notes)


def _compared(tables: Tables) -> pd.DataFrame:
    sites = sites_of(tables["convergence"]) if len(tables["convergence"]) else []
    return compared(sites, tables["settling"], tables["rank"], tau_of(tables))


def _caption(table: pd.DataFrame, found: pd.DataFrame) -> str:
    weight = table["weight"].iloc[0]
    layers = len(table[["size", "layer"]].drop_duplicates())
    seeds = len(table[["size", "seed"]].drop_duplicates())
    models = f"{seeds} models" if seeds > 1 else "one model"
    text = (
        f"Up: proportional effective rank of {weight} at the last step. Left: the step from which the layer's CKA to "
        "the final state stays at τ or more; right: how far CKA moves back in all after that (layers that settle). "
        f"A point per layer and seed (n = {len(table)}, {layers} layers in {models}), blue for first layers to orange "
        "for last ones. "
    )
    return text + " ".join(rank_sentences(found))


def _correlations_caption(table: pd.DataFrame) -> str:
    level = f"{100 * float(table['level'].iloc[0]):g} %"
    low, high = table["estimate"].min(), table["estimate"].max()
    return (
        f"Pearson's correlation, over checkpoints, of a layer's CKA to the final state with the proportional effective "
        f"rank of what writes it, mean over seeds; line: {level} interval over seeds, where there are several. They "
        f"lie between {low:.2f} and {high:.2f} (n = {len(table)} layers). Both change all through training, so that a "
        "correlation alone is no sign that one has to do with the other."
    )
