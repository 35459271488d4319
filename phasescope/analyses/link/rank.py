"""What effective rank explains: of a layer's CKA along training, of when it settles, and of how it stays settled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.link.columns import LINK_RANK
from phasescope.analyses.link.shares import Site
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options

COMPARED = {
    "size": "str", "component": "str", "weight": "str", "layer": "int64", "seed": "int64", "rank": "float64",
    "settling_step": "Int64", "instability": "float64",
}  # fmt: skip
# Study A's pairs: what a component writes, and the matrix or circuit that writes it.
WRITERS = {"attn_out": "OV", "ov_out": "OV", "mlp_out": "W_out", "mixer_out": "out_proj"}
_FEWEST_SIZES = 3
"""Two sizes lie on any line."""


@dataclass(frozen=True)
class Observation:
    """One layer of one seed: what the model compares."""

    size: str
    seed: int
    layer: int
    rank: float  # proportional effective rank of the writer at the last step, mean over heads
    settled: float  # ln(1 + settling step); of a layer that never settles, of the last step
    censored: bool  # whether it never settles
    instability: float  # the sum of CKA's steps backward after settling; NaN of a layer that never settles


def link_rank(sites: Sequence[Site], settling: DataFrame, rank: DataFrame, options: Options) -> DataFrame:
    """Table `link_rank`: correlations of rank with CKA by size and layer, and a mixed model of all sizes together."""
    tau = min(options.taus, key=lambda tau: abs(tau - 0.9))
    steps = _settled(settling, tau)
    rows: list[tuple[Any, ...]] = []
    for component, weight in WRITERS.items():
        here = [site for site in sites if site.component == component]
        ranks = _ranks(rank[rank["component"] == weight])
        observations: list[Observation] = []
        unmoved = 0
        for site in here:
            rows.append((*_correlation(site, ranks, weight, options), options.level, math.nan, *_counts(site, ranks)))
            observations += list(_observations(site, ranks, steps))
            unmoved += sum((site.size, seed, site.name) not in steps for seed in _measured(site, ranks))
        if here:
            told = " and ".join(dict.fromkeys(f"{site.left_out} (of {site.size})" for site in here if site.left_out))
            without = unmoved, told
            rows += [row for outcome in ("settling", "instability")
                     for row in _models(observations, component, weight, outcome, tau, without, options)]  # fmt: skip
    table: DataFrame = as_table(rows, LINK_RANK)
    return table


def compared(sites: Sequence[Site], settling: DataFrame, rank: DataFrame, tau: float) -> DataFrame:
    """What the models compare, one row per seed and layer of every component that has a writer.

    Args:
        settling: columns size, seed, site, head, tau, settling_step. rank: as the rank analysis makes it.

    Returns:
        Columns size, component, weight, layer, seed; rank (of the writer at the last step, mean over heads);
        settling_step (NA: never); instability (the sum of CKA's steps backward after settling; NaN of what never
        settles).
    """
    steps = _settled(settling, tau)
    of_writer = {weight: _ranks(rank[rank["component"] == weight]) for weight in set(WRITERS.values())}
    rows = [
        (one.size, site.component, WRITERS[site.component], one.layer, one.seed, one.rank,
         None if one.censored else round(math.expm1(one.settled)), one.instability)
        for site in sites if site.component in WRITERS
        for one in _observations(site, of_writer[WRITERS[site.component]], steps)
    ]  # fmt: skip
    table: DataFrame = as_table(rows, COMPARED)
    return table


def _settled(settling: DataFrame, tau: float) -> dict[tuple[str, int, str], Any]:
    """The settling step of each size, seed and site that moved; of the others it means nothing."""
    chosen = settling[settling["head"].isna() & np.isclose(settling["tau"], tau) & settling["moved"]]
    columns = chosen[["size", "seed", "site", "settling_step"]].itertuples(index=False, name=None)
    return {(str(size), int(seed), str(site)): step for size, seed, site, step in columns}


def _ranks(table: DataFrame) -> dict[tuple[str, int, int], dict[int, float]]:
    """Proportional rank of each size, seed and layer by step; the mean over heads of a circuit."""
    keys = ["size", "seed", "layer", "step"]
    mean = table[table["layer"].notna()].groupby(keys)["proportional"].mean().dropna().reset_index()
    found: dict[tuple[str, int, int], dict[int, float]] = {}
    for size, seed, layer, step, value in mean.itertuples(index=False, name=None):
        found.setdefault((str(size), int(seed), int(layer)), {})[int(step)] = float(value)
    return found


def _pairs(site: Site, seed: int, ranks: dict[tuple[str, int, int], dict[int, float]]) -> Any:
    """[2, steps]: rank and CKA at the steps that have both."""
    mine, curve = ranks.get((site.size, seed, site.layer), {}), site.seeds[seed]
    both = [(mine[step], value) for step, value in zip(curve.steps, curve.cka, strict=True) if step in mine]
    pairs = np.array([pair for pair in both if math.isfinite(pair[1])], dtype=np.float64).reshape(-1, 2)
    return pairs.T


def _counts(site: Site, ranks: dict[tuple[str, int, int], dict[int, float]]) -> tuple[Any, ...]:
    each = [_pairs(site, seed, ranks) for seed in site.pooled]
    usable = [pairs for pairs in each if _usable(pairs)]
    reason = "" if usable else "no seed has rank and CKA at four steps, both of which change"
    return sum(pairs.shape[1] for pairs in usable), len(usable), 1, 0, 0, site.left_out, reason


def _usable(pairs: Any) -> bool:
    return bool(pairs.shape[1] >= 4 and (np.ptp(pairs, axis=1) > 1e-9).all())


def _correlation(
    site: Site, ranks: dict[tuple[str, int, int], dict[int, float]], weight: str, options: Options
) -> tuple[Any, ...]:
    """Pearson's correlation over checkpoints, as study A has it: its mean over seeds on Fisher's scale.

    No p: both change all through training, so they correlate whether or not one has to do with the other.
    """
    from phasescope.measures import mean_over_seeds

    pairs = [pairs for pairs in (_pairs(site, seed, ranks) for seed in site.pooled) if _usable(pairs)]
    correlations = [np.clip(np.corrcoef(both)[0, 1], -0.999999, 0.999999) for both in pairs]
    scaled = mean_over_seeds(np.arctanh(np.array(correlations or [math.nan])), options.level)
    numbers = (float(np.tanh(value)) for value in scaled)
    return (site.size, site.component, site.layer, weight, "cka", "correlation", "rank", *numbers, math.nan)


def _observations(
    site: Site, ranks: dict[tuple[str, int, int], dict[int, float]], steps: dict[tuple[str, int, str], Any]
) -> Iterator[Observation]:
    """Of the seeds in which the layer moved."""
    import pandas as pd

    for seed in _measured(site, ranks):
        if (site.size, seed, site.name) not in steps:
            continue
        mine, curve = ranks[site.size, seed, site.layer], site.seeds[seed]
        step = steps[site.size, seed, site.name]
        never = bool(pd.isna(step))
        after = curve.cka[[place >= step for place in curve.steps]] if not never else np.zeros(0)
        backward = -float(np.minimum(np.diff(after[np.isfinite(after)]), 0).sum()) if not never else math.nan
        until = curve.steps[-1] if never else int(step)
        yield Observation(site.size, seed, site.layer, mine[max(mine)], math.log1p(until), never, backward)


def _measured(site: Site, ranks: dict[tuple[str, int, int], dict[int, float]]) -> list[int]:
    """The pooled seeds that have a rank and a CKA."""
    return [
        seed
        for seed in site.pooled
        if ranks.get((site.size, seed, site.layer)) and np.isfinite(site.seeds[seed].cka).any()
    ]


def _models(
    observations: Sequence[Observation],
    component: str,
    weight: str,
    outcome: str,
    tau: float,
    without: tuple[int, str],
    options: Options,
) -> Iterator[tuple[Any, ...]]:
    """One row per predictor: rank, and size where there are three or more.

    without: how many layers did not move, and which seeds are left out.
    """
    from phasescope.measures import mixed_fit
    from phasescope.suites.suite import size_order

    used = [one for one in observations if outcome == "settling" or not one.censored]
    sizes = list(dict.fromkeys(one.size for one in used))
    parameters = {size: size_order(size)[0] for size in sizes}
    terms = {"rank": [one.rank for one in used]}
    if len(sizes) >= _FEWEST_SIZES and all(map(math.isfinite, parameters.values())):
        terms["size"] = [math.log(parameters[one.size]) for one in used]
    seeds = [f"{one.size}/{one.seed}" for one in used]
    layers = [f"{one.size}/{one.layer}" for one in used]
    censored = sum(one.censored for one in observations)
    values = np.array([one.settled if outcome == "settling" else one.instability for one in used])
    fit = mixed_fit(values, np.array(list(terms.values())), seeds, layers, options.level)
    reason = fit.reason
    if not observations and without[0]:
        reason = f"none of {without[0]} layers moved"
    elif censored > len(observations) / 2:
        reason = f"{censored} of {len(observations)} layers never settle"
    about = (len(used), len(set(seeds)), len(set(layers)), censored, *without, reason)
    for number, term in enumerate(terms):
        found = (fit.coefficients[number], fit.low[number], fit.high[number], fit.p[number])
        numbers = [math.nan] * 4 if reason else [float(value) for value in found]
        named = sizes[0] if len(sizes) == 1 else None
        yield (named, component, None, weight, outcome, "mixed model", term, *numbers, options.level, tau, *about)
