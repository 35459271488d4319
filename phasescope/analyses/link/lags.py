"""Lead or lag: does a layer move before or after what the model does changes, and is that more than a coincidence?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.link.columns import LINK_LAGS
from phasescope.analyses.link.curves import SeedCurves
from phasescope.analyses.link.shares import Site
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.measures import SpeedGrid

_NOTHING = (math.nan,) * 9
_TOO_FEW_STEPS = "too few checkpoints to look for a lag: {} that both have, and ten over six doublings are needed"
_TOO_FEW_SEEDS = "{}: five or more are needed to tell a link from a coincidence"


def link_lags(sites: Sequence[Site], curves: Sequence[SeedCurves], options: Options) -> DataFrame:
    """Table `link_lags`: one row per site and behavioural curve of the same size.

    `q` is p after Benjamini and Hochberg's correction for all pairs of the table: a layer that is found although there
    is nothing is as much a mistake in one size or curve as in another.
    """
    grids: dict[tuple[int, ...], SpeedGrid | None] = {}
    rows = [
        (site.size, site.name, site.layer, site.component, curve.name, *_row(site, curve, grids, options))
        for site in sites
        for curve in curves
        if curve.size == site.size
    ]
    table: DataFrame = as_table(rows, LINK_LAGS)
    tested = table["p"].notna()
    if tested.any():
        table.loc[tested, "q"] = _corrected(table.loc[tested, "p"].to_numpy(float))
        table["significant"] = (table["q"] <= 1 - table["level"] + 1e-12) & (table["reason"] == "")
    return table


def _row(
    site: Site, curve: SeedCurves, grids: dict[tuple[int, ...], SpeedGrid | None], options: Options
) -> tuple[Any, ...]:
    """What stands in a row after the curve's name."""
    from phasescope.measures import best_lag, speed_grid

    seeds = [seed for seed in curve.seeds if seed in site.pooled and np.isfinite(site.seeds[seed].cka).any()]
    if not seeds:
        return (
            *_NOTHING,
            False,
            options.level,
            0,
            0,
            site.left_out,
            "no seed has both this curve and a CKA at this site",
        )
    steps = _common(site, seeds, curve)
    about = (False, options.level, len(seeds), len(steps), site.left_out)
    if tuple(steps) not in grids:
        grids[tuple(steps)] = speed_grid(steps)
    grid = grids[tuple(steps)]
    if grid is None:
        return (*_NOTHING, *about, _TOO_FEW_STEPS.format(len(steps)))
    if curve.name == "kl" and len(seeds) < 2:
        return (*_NOTHING, *about, "one seed has no KL to others")
    columns = [curve.steps.index(step) for step in steps]
    cka = np.stack([_at(site, seed, steps) for seed in seeds])
    found = best_lag(
        cka,
        lambda places: curve.of([seeds[place] for place in places])[:, columns],
        grid,
        level=options.level,
        seed=options.seed,
    )
    # Of a lag at the edge of what was looked for, an interval would say nothing.
    numbers = (found.lag, *((math.nan, math.nan) if found.at_edge else (found.low, found.high)))
    factors = tuple(_factor(value) for value in numbers)
    reason = ""
    if math.isnan(found.lag):
        reason = "one of the two does not move"
    elif found.at_edge:
        reason = f"the longest lag looked for fits best, a factor of {factors[0]:.3g}: the true one may lie beyond"
    elif math.isnan(found.p):
        reason = _TOO_FEW_SEEDS.format("one seed" if len(seeds) == 1 else f"{len(seeds)} seeds")
    return (*numbers, *factors, found.correlation, found.p, math.nan, *about, reason)


def _common(site: Site, seeds: Sequence[int], curve: SeedCurves) -> list[int]:
    steps = set(curve.steps)
    for seed in seeds:
        mine = site.seeds[seed]
        steps &= {step for step, value in zip(mine.steps, mine.cka, strict=True) if math.isfinite(value)}
    return sorted(steps)


def _at(site: Site, seed: int, steps: Sequence[int]) -> Any:
    curve = site.seeds[seed]
    return curve.cka[np.searchsorted(curve.steps, steps)]


def _factor(lag: float) -> float:
    return math.exp(lag) if lag < 700 else math.inf


def _corrected(p: Any) -> Any:
    from statsmodels.stats.multitest import multipletests

    return multipletests(p, method="fdr_bh")[1]
