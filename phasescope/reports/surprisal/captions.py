"""Captions of surprisal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import tidy
from phasescope.reports.kit.captions import drawn, seeds_of_each, tokens

if TYPE_CHECKING:
    import pandas as pd


def surprisal(table: pd.DataFrame) -> str:
    """Of surprisal curves of one size."""
    return (
        f"Mean of −ln p(token | context) over {tokens(table)}, one curve per seed ({table['seed'].nunique()}); band: "
        f"{tidy.level(table)} bootstrap interval over sequences. Dashed: the same tokens under token frequencies alone."
        + drawn(table["step"])
    )


def sizes(table: pd.DataFrame) -> str:
    """Of surprisal curves of all sizes."""
    count = seeds_of_each(table)
    return (
        f"Mean of −ln p(token | context) over {tokens(table)}; median over seeds ({count}); band: range over seeds "
        f"({tidy.level(table)} bootstrap interval where there is one seed). Dashed: the same tokens under "
        "token frequencies alone." + drawn(table["step"])
    )
