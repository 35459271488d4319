"""The part of a report about how alike models are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.agreement.figures import agreement_figure
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables


def agreement_panel(tables: Tables, sizes: Sequence[str]) -> Panel | None:
    """How alike all models of a run are; None where no two can be compared."""
    table = tables["agreement"][tables["agreement"]["pearson"].notna()]
    if table["step"].nunique() < 2:
        return None
    caption = (
        f"Pearson's correlation of word log-probabilities of two models at the same step, mean over pairs; "
        f"{int(table['words'].max()):,} words; band: {tidy.level(table)} bootstrap interval over sequences."
    )
    return Panel("Agreement of models", caption, agreement_figure(table, sizes), source="agreement")
