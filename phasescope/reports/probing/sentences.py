"""What probes find, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_NAMES = {
    "pos": "the part of speech",
    "frequency": "how frequent a token is",
    "position": "where in its window a token is",
    "next_token": "the next token",
}


def probing_finding(size: str, tables: Tables, seeds: int) -> str:
    """For each label from which accuracy to which, and whether it is more than at the first step and than by heart."""
    table = pooled(tables["probed"][tables["probed"]["accuracy"].notna()])
    if table.empty or table["step"].nunique() < 2:
        return ""
    told = [
        _sentence(size, str(component), str(label), rows)
        for (component, label), rows in table.groupby(["component", "label"], sort=False)
    ]
    return " ".join(told)


def _sentence(size: str, component: str, label: str, rows: pd.DataFrame) -> str:
    last = rows[rows["step"] == rows["step"].max()]
    gain, selectivity = (tidy.outermost(rows, f"{name}_low", f"{name}_high") for name in ("gain", "selectivity"))
    middle = last[["accuracy", "majority", "control"]].median()
    accuracy = tidy.percent(float(middle["accuracy"]), *tidy.outermost(rows))
    first = int(rows["step"].min())
    grown = "more than" if gain[0] > 0 else "less than" if gain[1] < 0 else "not surely other than"
    by_heart = "more" if selectivity[0] > 0 else "no more"
    return (
        f"A linear probe reads {_NAMES.get(label, label)} off {component} of {size} in {accuracy} of cases (most "
        f"frequent class {_whole(middle['majority'])}, control task {_whole(middle['control'])}; mean over "
        f"{int(last['layers'].iloc[0])} layers, {tidy.over_seeds(rows)}): {grown} at {counting.at(first)}, "
        f"and {by_heart} than could be learned by heart."
    )


def _whole(share: float) -> str:
    return f"{100 * share:.0f} %"
