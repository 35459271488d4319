"""Which peaks stand for a size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd


def summary_peaks(peaks: pd.DataFrame, size: str, unit: str) -> pd.DataFrame:
    """The peaks of Pearson's correlation of the mean over seeds, or of the only seed."""
    here = tidy.of(peaks, size=size, unit=unit, measure="pearson")
    together = here[here["seed"].isna()]
    return together if len(together) else here
