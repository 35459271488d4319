"""Captions of effective rank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.reports.kit import tidy
from phasescope.reports.kit.captions import described, drawn, parts_of

if TYPE_CHECKING:
    import pandas as pd


def rank(table: pd.DataFrame, component: str, kind: str) -> str:
    """Of rank curves; `table` holds the rows of the component."""
    over_heads = f"{parts_of(component)} and " if tidy.whole(table).empty and len(table) else ""
    seeds = pooled_seeds(table)
    count = (f"{seeds} seeds" if seeds > 1 else "one seed") + (f" ({told})" if (told := left_out(table)) else "")
    middle = f"median over {over_heads}{count}" if over_heads or seeds > 1 else count
    largest = tidy.integers(table["largest"]) if "largest" in table else []
    room = f", {largest[-1]}" if largest else ""
    measured = "activations with their columns centred" if kind == "activation" else "exact, so without an interval"
    return (
        f"{described(component)}: effective rank (exp of the entropy of the normalised singular values) as a share of "
        f"the largest possible{room}; {middle}; {measured}.{drawn(table['step'])}"
    )
