"""Why there is no surprisal curve."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit.absences import no_trajectory

if TYPE_CHECKING:
    import pandas as pd


def no_surprisal(table: pd.DataFrame, failure: str) -> str:
    """Why there is no surprisal curve; of a single step its value is said."""
    why = no_trajectory(table, "surprisal", "surprisal", failure)
    known = table[table["surprisal"].notna()]
    if failure or known.empty or known["step"].nunique() > 1:
        return why
    row = known.iloc[0]
    mean = known["surprisal"].median()
    value = f"{mean:.2f} nats per token (median of {len(known)} seeds)"
    if len(known) == 1:
        value = f"{mean:.2f} [{row['low']:.2f}, {row['high']:.2f}] nats per token"
    beside = "" if known["unigram"].isna().all() else f"; token frequencies alone give {known['unigram'].mean():.2f}"
    return f"{why} It is {value}{beside}."
