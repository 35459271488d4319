"""What settles within the first fifth of training, in a sentence."""

from __future__ import annotations

from phasescope import counting
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import tidy
from phasescope.reports.kit.tables import Tables


def fifth_finding(size: str, tables: Tables, seeds: int) -> str:
    """The share of sites that settle within the first fifth of training."""
    table = tidy.of(tables["first_fifth"], component="all", tau=tau_of(tables))
    table = table[table["share"].notna()]
    if table.empty:
        return ""
    row = table.iloc[0]
    over = f"; mean of {int(row['seeds'])} seeds, {tidy.level(table)} interval" if row["seeds"] > 1 else "; one seed"
    over += f"; {row['left_out']}" if row["left_out"] else ""
    moved = " that moved" if row["unmoved"] > 0 else ""
    share = tidy.percent(row["share"], row["low"], row["high"])
    return (
        f"Of the {int(row['layers'])} sites of {size}{moved}, {share} settle "
        f"within the first fifth of training, by {counting.at(int(row['last_step']) // 5)} "
        f"(τ = {tau_of(tables):g}{over})."
    )
