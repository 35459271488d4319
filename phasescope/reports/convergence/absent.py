"""Why a component has no heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd


def no_cka(component: str, table: pd.DataFrame) -> str:
    """Why a component has no heat map."""
    reasons = tidy.reasons(table)
    why = f": {tidy.listing(reasons, at_most=3)}" if reasons else ""
    return f"{component} has no CKA at any step{why}."
