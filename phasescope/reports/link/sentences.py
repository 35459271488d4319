"""What the link found of single layers, in sentences: only what the intervals and the significance support."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.phases.chosen import _NAMES, MAIN_CURVES, curve_name

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from phasescope.reports.kit.tables import Tables


def site_sentence(size: str, site: str, tables: Tables) -> str:
    """Where a layer does its moving, when it settles, whether it leads or lags; "" where nothing of it is sure.

    `tables` of that size; site as in `link_shares`.
    """
    moving, lag = _moving(site, tables), _lag(site, tables)
    if not moving and not lag:
        return ""
    clauses = filter(None, (moving, _settles(site, tables), lag))
    return f"{short_name(site, tables)} of {size} {'; it '.join(clauses)}."


def sure_sites(tables: Tables) -> list[str]:
    """Sites of which something is sure, those with a significant lag first, then by how much one phase has."""
    found = {site: float(row["low"]) for site, row in _sure_shares(tables).items()}
    for row in _sure_lags(tables):
        found[str(row["site"])] = found.get(str(row["site"]), 0.0) + 2.0
    return sorted(found, key=lambda site: -found[site])


def short_name(site: str, tables: Tables) -> str:
    """`L3.mlp_out`."""
    rows = tables["link_shares"][tables["link_shares"]["site"] == site]
    rows = rows if len(rows) else tables["link_lags"][tables["link_lags"]["site"] == site]
    return f"L{int(rows['layer'].iloc[0])}.{rows['component'].iloc[0]}"


def _moving(site: str, tables: Tables) -> str:
    row = _sure_shares(tables).get(site)
    if row is None:
        return ""
    share, low, high = (f"{100 * row[name]:.0f}" for name in ("share", "low", "high"))
    what = f"{row['label']} phase of {_NAMES.get(str(row['curve']), row['curve'])}"
    span = f"{counting.noun()}s {steps_axis.label(round(row['start']))}–{steps_axis.label(round(row['end']))}"
    return f"does {share} % [{low}, {high}] of its moving in the {what} ({span})"


def _settles(site: str, tables: Tables) -> str:
    rows = tidy.whole(tidy.of(tables["settling"], tau=tau_of(tables)))
    about = tables["link_shares"][tables["link_shares"]["site"] == site]
    about = about if len(about) else tables["link_lags"][tables["link_lags"]["site"] == site]
    layer, component = about["layer"].iloc[0], about["component"].iloc[0]
    middle = median_settling(rows[(rows["layer"] == layer) & (rows["component"] == component)])
    if middle.empty:
        return ""
    row = middle.iloc[0]
    if not row["moved"]:
        return ""
    step, low, high = (_step(row[name]) for name in ("median", "low", "high"))
    at = "" if counting.noun() == "step" else f"{counting.noun()} "
    return f"settles at {at}{step} [{low}, {high}]" if step != "never" else "does not settle before the last step"


def _lag(site: str, tables: Tables) -> str:
    """Of the curve that it is most sure of."""
    rows = [row for row in _sure_lags(tables) if row["site"] == site]
    if not rows:
        return ""
    row = min(rows, key=lambda row: (row["q"], -abs(row["correlation"])))
    late = row["lag"] > 0
    numbers = [math.exp(value if late else -value) for value in (row["lag"], row["low"], row["high"])]
    low, high = sorted(numbers[1:])
    way = "lags" if late else "leads"
    what = "rise" if row["correlation"] > 0 else "fall"
    return (
        f"{way} the {what} of {curve_name(str(row['curve']))} by a factor {numbers[0]:.1f} [{low:.1f}, {high:.1f}] in "
        f"{counting.noun()}s"
    )


def _sure_lags(tables: Tables) -> list[dict[Hashable, Any]]:
    def made() -> list[dict[Hashable, Any]]:
        lags = tables["link_lags"]
        return lags[lags["significant"].astype(bool) & ((lags["low"] > 0) | (lags["high"] < 0))].to_dict("records")

    return tables.once("sure lags", made)


def _sure_shares(tables: Tables) -> dict[str, dict[Hashable, Any]]:
    """Of each site the phase with the largest share, where it surely has more than every other."""

    def made() -> dict[str, dict[Hashable, Any]]:
        shares = _summary(tables["link_shares"])
        of_site: dict[str, list[dict[Hashable, Any]]] = {}
        for row in shares[shares[["share", "low", "high"]].notna().all(axis=1)].to_dict("records"):
            of_site.setdefault(str(row["site"]), []).append(row)
        ordered = {site: sorted(rows, key=lambda row: -row["share"]) for site, rows in of_site.items()}
        return {site: rows[0] for site, rows in ordered.items() if len(rows) > 1 and rows[0]["low"] > rows[1]["share"]}

    return tables.once("sure shares", made)


def _summary(shares: pd.DataFrame) -> pd.DataFrame:
    """Over all seeds, of the first main curve that has two phases or more."""
    together = shares[shares["seed"].isna()]
    for curve in MAIN_CURVES:
        mine = together[together["curve"] == curve]
        if mine["phase"].nunique() > 1:
            return mine
    return together.iloc[:0]


def _step(value: Any) -> str:
    import pandas as pd

    return "never" if pd.isna(value) else counting.label(float(value))
