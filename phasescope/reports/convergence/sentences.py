"""When layers settle, in sentences: of those that were seen to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.convergence.medians import median_settling, settled_from_start
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import tidy
from phasescope.reports.kit.tables import Tables

if TYPE_CHECKING:
    import pandas as pd


def settling_finding(size: str, tables: Tables, seeds: int) -> str:
    """Of the sites that moved, which settles first, which last, how many never do; and which did not move."""
    tau = tau_of(tables)
    sites = _settled_sites(tables)
    if sites.empty:
        return ""
    table, unmoved = sites[sites["moved"]], sites[~sites["moved"]]
    end = counting.bare(tables["settling"]["last_step"].max())
    if table.empty:
        return (
            f"When the sites of {size} settle cannot be told (CKA to the final state of {tau:g} or more): "
            f"{_unmoved(unmoved, tau)}."
        )
    settled = table.dropna(subset=["median"]).sort_values(["median", "layer"])
    never = len(table) - len(settled)
    if settled.empty:
        return (
            f"In {size}, no site {_that_moved(unmoved)}settles before the last step, {end} (CKA to the final "
            f"state of {tau:g} or more{_and_unmoved(unmoved, tau)})."
        )
    first, last = settled["median"].min(), settled["median"].max()
    early, late = settled[settled["median"] == first], settled[settled["median"] == last]
    who = f"all {len(settled)} sites {_that_moved(unmoved)}".rstrip() if len(early) == len(table) > 1 else _sites(early)
    sentence = (
        f"In {size}, {who} settle{_s(early)}{' first,' if first != last else ''} {_when(early)}: from there on CKA "
    )
    sentence += f"to the final state stays at {tau:g} or more ({tidy.seeds_and_range(_at_tau(tables), 'bootstrap')})"
    if first != last:
        sentence += f"; {_sites(late)} settle{_s(late)} last, {_when(late)}"
    if never:
        do = "does" if never == 1 else "do"
        of = f"{len(table)} sites {_that_moved(unmoved)}".rstrip()
        sentence += f"; {never} of {of} {do} not settle before the last step, {end}"
    return f"{sentence}{_and_unmoved(unmoved, tau)}."


def _that_moved(unmoved: pd.DataFrame) -> str:
    return "that moved " if len(unmoved) else ""


def _and_unmoved(unmoved: pd.DataFrame, tau: float) -> str:
    return f"; when others settle cannot be told: {_unmoved(unmoved, tau)}" if len(unmoved) else ""


def _unmoved(unmoved: pd.DataFrame, tau: float) -> str:
    """Of the sites that did not move: which, and what they have from the beginning, or by chance."""
    chance = unmoved["shuffled"] >= tau
    parts = [rows for rows in (unmoved[~chance], unmoved[chance]) if len(rows)]
    return "; ".join(f"{_sites(rows)} {_has(rows)} {settled_from_start(rows, tau)}" for rows in parts)


def _has(table: pd.DataFrame) -> str:
    return "has" if len(table) == 1 else "have"


def _settled_sites(tables: Tables) -> pd.DataFrame:
    """Median settling of whole sites; none where there is only one step, or no CKA before the last."""
    if tables["convergence"]["step"].nunique() < 2:
        return median_settling(tables["settling"].iloc[:0])
    table = median_settling(_at_tau(tables))
    return table[table["first_least"].notna()]


def _at_tau(tables: Tables) -> pd.DataFrame:
    return tidy.whole(tidy.of(tables["settling"], tau=tau_of(tables)))


def _sites(table: pd.DataFrame) -> str:
    names = [f"{component} of L{layer}" for layer, component in zip(table["layer"], table["component"], strict=True)]
    return tidy.listing(names, at_most=3)


def _when(table: pd.DataFrame) -> str:
    """`at step 64 [32, 128]`; of several sites the range of all."""
    low, high = table["low"].min(), table["high"].max()
    edges = ["never" if edge else counting.label(value) for edge, value in _edges(table, low, high)]
    return f"at {counting.at(table['median'].iloc[0])} [{edges[0]}, {edges[1]}]"


def _edges(table: pd.DataFrame, low: Any, high: Any) -> Iterator[tuple[bool, Any]]:
    yield bool(table["low"].isna().all()), low
    yield bool(table["high"].isna().any()), high


def _s(table: pd.DataFrame) -> str:
    return "s" if len(table) == 1 else ""
