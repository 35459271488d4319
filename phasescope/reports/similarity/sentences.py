"""What similarity says of a size, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy
from phasescope.reports.similarity.words import MEASURES

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables

# The measure that is told of: the first of these that was asked for.
_TOLD = ("rsa", "cka", "neighbours", *MEASURES)


def similarity_finding(size: str, tables: Tables, seeds: int) -> str:
    """How alike seeds are at the last step, beside the first step and samples that do not match."""
    table = tables["similarity_means"]
    table = pooled(table[table["value"].notna()])
    table = tidy.of(table, relation="seed" if "seed" in set(table["relation"]) else "final")
    if table.empty or table["step"].nunique() < 2:
        return ""
    measure = next(name for name in _TOLD if name in set(table["measure"]))
    rows = tidy.of(table, measure=measure)
    seeds_told = rows["relation"].iloc[0] == "seed"
    # To itself every state is alike: what is told is the step before.
    steps = tidy.integers(rows["step"])
    step = steps[-1] if seeds_told else steps[-2]
    here = tidy.of(rows, step=step)
    value = tidy.interval(here["value"].median(), *tidy.outermost(here))
    first = tidy.of(rows, step=steps[0])["value"].median()
    null = here["shuffled"].median()
    chance = f", and where samples do not match to {round(null, 2) + 0:.2f}" if null == null else ""
    what = "The layers of two seeds" if seeds_told else "Layers and their last step"
    return (
        f"{what} of {size} are alike to {value} by {MEASURES[measure]} at step {step} ({tidy.over_seeds(rows)}, mean "
        f"over sites, outermost ends of intervals); at step {steps[0]} to {first:.2f}{chance}."
    )
