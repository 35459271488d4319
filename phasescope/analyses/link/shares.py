"""Where a layer does its moving: the share of its net change towards the final state in each behavioural phase."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.convergence.resamples import Deviations, deviations_of
from phasescope.analyses.link.columns import LINK_SHARES
from phasescope.analyses.reader import as_table
from phasescope.analyses.seed_ends import short_seeds, told

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options

    Array = np.ndarray


@dataclass(frozen=True)
class Site:
    """CKA to the final state of a whole site of one size, seed by seed."""

    size: str
    name: str
    layer: int
    component: str
    seeds: dict[int, SiteCurve]

    @property
    def pooled(self) -> list[int]:
        """The seeds that are pooled: those that go as far as any."""
        short = short_seeds(self._ends)
        return [seed for seed in self.seeds if seed not in short]

    @property
    def left_out(self) -> str:
        """Which seeds are not, and why."""
        return told(short_seeds(self._ends))

    @property
    def _ends(self) -> dict[int, int]:
        return {seed: curve.steps[-1] for seed, curve in self.seeds.items()}


@dataclass(frozen=True)
class SiteCurve:
    """CKA of one seed at its steps."""

    steps: list[int]
    cka: Float64[Array, "steps"]


@dataclass(frozen=True)
class Phases:
    """The phases of one curve: (start, end) in steps, and what each is called."""

    edges: list[tuple[float, float]]
    labels: list[str]


def sites_of(convergence: DataFrame) -> list[Site]:
    """Whole sites, size by size and layer by layer. Heads stay out: a head's moves are part of its site's."""
    whole = convergence[convergence["head"].isna()].sort_values("step")
    found = []
    for (size, name), rows in whole.groupby(["size", "site"], sort=False):
        seeds = {}
        for _, curve in rows.groupby("seed"):
            steps = [int(step) for step in curve["step"]]
            seeds[int(curve["seed"].iloc[0])] = SiteCurve(steps, curve["cka"].to_numpy(np.float64))
        first = rows.iloc[0]
        found.append(Site(str(size), str(name), int(first["layer"]), str(first["component"]), seeds))
    sizes = list(dict.fromkeys(convergence["size"]))
    return sorted(found, key=lambda site: (sizes.index(site.size), site.component, site.layer))


def phases_of(phases: DataFrame, size: str) -> dict[str, dict[int | None, Phases]]:
    """Of each curve of a size: the phases of each seed, and (None) those of all seeds together."""
    found: dict[str, dict[int | None, Phases]] = {}
    here = phases[phases["size"] == size]
    for (curve, _), rows in here.groupby(["curve", "seed"], sort=False, dropna=False):
        ordered = rows.sort_values("phase")
        edges = [(float(start), float(end)) for start, end in zip(ordered["start"], ordered["end"], strict=True)]
        together = bool(rows["seed"].isna().all())
        found.setdefault(str(curve), {})[None if together else int(rows["seed"].iloc[0])] = Phases(
            edges, _names(ordered)
        )
    return found


def _names(phases: DataFrame) -> list[str]:
    """Study B's name of a phase where the evidence gives it one, else what its trend is called."""
    labels = [str(label) for label in phases["label"]]
    names = [str(name) for name in phases["name"].fillna("")] if "name" in phases else labels
    return [name or label for name, label in zip(names, labels, strict=True)]


def link_shares(sites: list[Site], resamples: DataFrame, phases: DataFrame, options: Options) -> DataFrame:
    """Table `link_shares`: one row per size, site, curve and phase, for each seed and (seed missing) over all seeds.

    resamples: the table `convergence_resamples`, which says how the texts move the CKA of all checkpoints and seeds.

    A seed is divided by its own phases where the curve has them, else by those of all seeds; the mean over seeds by
    those of all seeds, so that every seed is divided alike. Seeds that end before others are left out of the mean.
    """
    rows: list[tuple[Any, ...]] = []
    moved = deviations_of(resamples)
    for size in dict.fromkeys(site.size for site in sites):
        curves = phases_of(phases, size)
        for site in (site for site in sites if site.size == size):
            for curve, of_seed in curves.items():
                rows += [
                    (size, seed, site.name, site.layer, site.component, curve, *numbers)
                    for seed, numbers in _rows(site, moved, of_seed, options)
                ]
    table: DataFrame = as_table(rows, LINK_SHARES)
    return table


def _rows(
    site: Site, moved: Deviations, phases: dict[int | None, Phases], options: Options
) -> Iterator[tuple[int | None, tuple[Any, ...]]]:
    together = phases.get(None) or (next(iter(phases.values())) if len(site.seeds) == len(phases) == 1 else None)
    for seed in site.seeds:
        mine = phases.get(seed) or together
        if mine is not None:
            for numbers in _of(site, [seed], moved, mine, options):
                yield seed, (*numbers[:-1], "", numbers[-1])
    if together is not None:
        for numbers in _of(site, site.pooled, moved, together, options):
            yield None, (*numbers[:-1], site.left_out, numbers[-1])


def _of(site: Site, seeds: list[int], moved: Deviations, phases: Phases, options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.measures import common_error, mean_over_seeds, phase_shares

    each = []
    for seed in seeds:
        curve = site.seeds[seed]
        deviations = moved.at(site.size, seed, site.name, curve.steps)
        each.append(phase_shares(curve.steps, curve.cka, deviations, phases.edges))
    known = [shares for shares in each if not shares.reason]
    reason = next((shares.reason for shares in each if shares.reason), "") if not known else ""
    nothing = np.full((1, len(phases.edges)), math.nan)
    shares = np.stack([one.shares for one in known]) if known else nothing
    # All seeds read the same texts: what these move in all of them alike does not average out over seeds.
    texts = common_error(np.stack([one.deviations for one in known])) if known else None
    mean, low, high = mean_over_seeds(shares, options.level, texts)
    change = float(np.mean([one.change for one in known or each]))
    for number, ((start, end), label) in enumerate(zip(phases.edges, phases.labels, strict=True)):
        numbers = (float(mean[number]), float(low[number]), float(high[number]))
        why = reason or ("it has no checkpoint in this phase" if math.isnan(numbers[0]) else "")
        yield (number, start, end, label, *numbers, change, options.level, len(known), why)
