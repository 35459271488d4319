"""Measures of one's own beside behaviour: their phases, their share in behavioural phases, and lead or lag.

What the analyses `phases` and `link` do with curves of behaviour and with CKA, done with any measure: each curve is of
one quantity, site and head along the steps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.link.columns import LINK_LAGS, LINK_SHARES
from phasescope.analyses.link.curves import behavioural_curves
from phasescope.analyses.link.lags import link_lags
from phasescope.analyses.link.shares import Site, SiteCurve, link_shares
from phasescope.analyses.options import Options
from phasescope.analyses.phases.curves import curves_of
from phasescope.analyses.phases.found import phases_of
from phasescope.analyses.reader import as_table
from phasescope.analyses.results import table
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader

PHASES = {
    "quantity": "str", "size": "str", "seed": "Int64", "site": "str", "head": "Int64", "other": "Int64",
    "phase": "int64", "start": "float64", "end": "float64", "start_low": "float64", "start_high": "float64",
    "label": "str", "slope": "float64", "slope_low": "float64", "slope_high": "float64", "points": "int64",
    "level": "float64",
}  # fmt: skip
_MARK = "\0"
"""Stands between site and head where both name one curve."""
_STILL = "it hardly moves: from the first checkpoint to the last it changes by less than 5 % of its range"


def own_phases(measured: DataFrame, options: Options | None = None) -> DataFrame:
    """The phases of every curve of a measure, of each seed and (seed missing) of the mean of the seeds.

    measured: a table as `run.map` gives it. Columns: quantity, size, seed, site, head, other, phase, start, end,
    start_low, start_high, label, slope (per e-fold of steps), slope_low, slope_high, points, level.
    """
    options = options or Options()
    by = [
        "quantity",
        "size",
        "site",
        "head",
        *(["other"] if _compares(measured) in ("seeds", "layers") else []),
        "seed",
    ]
    known = measured[measured["value"].notna()]
    curves = [one for one in curves_of(known, step="step", value="value", by=by) if len(one.steps) > 1]
    rows: list[tuple[Any, ...]] = []
    for curve, phases in zip(curves, phases_of(curves, options), strict=True):
        names = [curve.group.get(name) for name in ("quantity", "size", "seed", "site", "head", "other")]
        for number, phase in enumerate(phases.phases):
            start = phases.boundaries[number - 1] if number else None
            edges = (phase.start, phase.start) if start is None else (start.low, start.high)
            steps = (round(step, 2) for step in (phase.start, phase.end, *edges))
            rows.append(
                (*names, number, *steps, phase.label, phase.slope, phase.low, phase.high, phases.points, options.level)
            )
    made: DataFrame = as_table(rows, PHASES)
    return made


def own_shares(reader: RunReader, measured: DataFrame, options: Options | None = None) -> DataFrame:
    """Which share of a measure's net change falls into each behavioural phase: as `link_shares`, of another quantity.

    Columns as there, with quantity and head. Shares do not depend on units: each curve is divided by its range, and one
    that falls is turned over. Intervals over several seeds tell how these differ, not what the texts do to all alike.

    Raises `PhasescopeError` for a measure that compares seeds or layers: it has no curve for each seed.
    """
    options = options or Options()
    behaviour = table(reader, "phases", options)
    parts = []
    for quantity, sites in _sites_by_quantity(measured, relative=True):
        still = _nothing_moved(sites)
        parts.append(_named(link_shares(sites, still, behaviour, options), quantity))
    made = _together(parts, LINK_SHARES)
    made["reason"] = made["reason"].where(~made["reason"].str.startswith("it hardly moves"), _STILL)
    return made


def own_lags(reader: RunReader, measured: DataFrame, options: Options | None = None) -> DataFrame:
    """Whether a measure moves before or after behaviour, by what factor, and by chance or not: as `link_lags`.

    Columns as there, with quantity and head; `q` is corrected over all curves of one quantity.

    Raises `PhasescopeError` for a measure that compares seeds or layers: it has no curve for each seed.
    """
    options = options or Options()
    behaviour = list(behavioural_curves(reader, options))
    found = _sites_by_quantity(measured, relative=False)
    return _together([_named(link_lags(sites, behaviour, options), quantity) for quantity, sites in found], LINK_LAGS)


def _compares(measured: DataFrame) -> str:
    return str(measured.attrs.get("pairs", ""))


def _sites_by_quantity(measured: DataFrame, *, relative: bool) -> Iterator[tuple[str, list[Site]]]:
    """The curves of each quantity as the link takes them: of a site, or of a head of it, seed by seed."""
    if _compares(measured) in ("seeds", "layers"):
        raise PhasescopeError(
            f"A measure of pairs of {_compares(measured)} has no curve for each seed to be linked: map it without "
            'pairs, or with pairs="final" or "previous".'
        )
    for quantity, rows in measured.sort_values("step").groupby("quantity", sort=False):
        sites = []
        for (size, site, _), mine in rows.groupby(["size", "site", "head"], sort=False, dropna=False):
            seeds = {}
            for _, curve in mine.groupby("seed"):
                values = curve["value"].to_numpy(np.float64)
                steps = [int(step) for step in curve["step"]]
                seeds[int(curve["seed"].iloc[0])] = SiteCurve(steps, _of_its_range(values) if relative else values)
            first = mine.iloc[0]
            name = f"{site}{_MARK}{'' if mine['head'].isna().all() else int(first['head'])}"
            sites.append(Site(str(size), name, int(first["layer"]), str(first["component"]), seeds))
        yield str(quantity), sites


def _of_its_range(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A curve divided by its range, rising on the whole."""
    known = values[np.isfinite(values)]
    span = float(np.ptp(known)) if len(known) else math.nan
    if not span > 0:
        return values * 0
    turned = -1 if known[-1] < known[0] else 1
    return turned * values / span


def _nothing_moved(sites: list[Site]) -> DataFrame:
    """What the texts do to the curves, of which nothing is known, in the form of `convergence_resamples`."""
    import pandas as pd

    rows = [
        (site.size, seed, step, site.name, 0.0)
        for site in sites
        for seed, of in site.seeds.items()
        for step in of.steps
    ]
    return pd.DataFrame(rows, columns=["size", "seed", "step", "site", "r0"])


def _named(found: DataFrame, quantity: str) -> DataFrame:
    """With columns of quantity and head."""
    import pandas as pd

    names = found["site"].str.split(_MARK, n=1, expand=True).reindex(columns=[0, 1])
    head = pd.to_numeric(names[1], errors="coerce").astype("Int64")
    return found.assign(site=names[0].astype("str"), quantity=quantity, head=head)


def _together(parts: list[DataFrame], columns: dict[str, str]) -> DataFrame:
    import pandas as pd

    wanted = {"quantity": "str", "head": "Int64"} | columns
    made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(wanted))
    return made[list(wanted)].astype(wanted)
