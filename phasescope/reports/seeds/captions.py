"""Captions of KL between seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import tidy
from phasescope.reports.kit.captions import drawn, per_size, tokens

if TYPE_CHECKING:
    import pandas as pd


def kl(table: pd.DataFrame) -> str:
    """Of KL between seeds."""
    seeds = per_size({str(size): int(rows["seeds"].max()) for size, rows in table.groupby("size", sort=False)})
    return (
        f"KL(p_i ‖ p_j) of next-token distributions, mean over ordered pairs of seeds i ≠ j ({seeds}) "
        f"and {tokens(table)}; band: {tidy.level(table)} bootstrap interval over sequences.{drawn(table['step'])}"
    )
