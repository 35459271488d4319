"""How well sizes line up at the same validation perplexity: a table of the analysis `trajectories`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.analyses.seed_ends import short_seeds
from phasescope.analyses.trajectories.behaviours import Behaviour
from phasescope.analyses.trajectories.columns import ALIGNMENT
from phasescope.analyses.trajectories.per_sequence import PerSequence, ratio_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.measures import PerplexityCurve


def size_alignment(behaviours: Sequence[Behaviour], options: Options) -> DataFrame:
    """Table `size_alignment`: how far apart two sizes are at the same perplexity, beside that at the same step."""
    rows: list[tuple[Any, ...]] = []
    for measure in dict.fromkeys(behaviour.measure for behaviour in behaviours):
        of_size: dict[str, list[Behaviour]] = {}
        for behaviour in behaviours:
            if behaviour.measure == measure:
                of_size.setdefault(behaviour.size, []).append(behaviour)
        sizes = {size: _pooled(mine) for size, mine in of_size.items()}
        replicates = {size: pooled.replicates(options) for size, pooled in sizes.items()} if len(sizes) > 1 else {}
        for a, b in combinations(sizes, 2):
            seeds = [[behaviour.curve for behaviour in of_size[size]] for size in (a, b)]
            numbers = _alignment(sizes[a], sizes[b], (replicates[a], replicates[b]), seeds, options)
            rows.append((a, b, measure, *numbers))
    table: DataFrame = as_table(rows, ALIGNMENT)
    return table


def _alignment(
    a: Behaviour,
    b: Behaviour,
    replicates: tuple[list[PerplexityCurve], list[PerplexityCurve]],
    seeds: list[list[PerplexityCurve]],
    options: Options,
) -> tuple[Any, ...]:
    from phasescope.measures import curve_distances, interval, shared_range

    shared = shared_range([a.curve, b.curve])
    estimate = np.array(curve_distances(a.curve, b.curve))
    if shared is None or not np.isfinite(estimate).all():
        reason = "no step at which both have this measure lies in the perplexities that they share"
        if shared is None:
            reason = "their perplexities do not overlap: " + " and ".join(_span(part) for part in (a, b))
        limits = (math.nan, math.nan) if shared is None else tuple(map(math.exp, shared))
        return (*limits, *[math.nan] * 11, options.level, reason)
    drawn = np.array([curve_distances(*pair) for pair in zip(*replicates, strict=True)])
    low, high = (edge.numpy().clip(min=0) for edge in interval(drawn, estimate, options.level))
    # Distances are never negative, so their relation is resampled as a logarithm.
    with np.errstate(divide="ignore"):
        logs = [np.log(ratio_of(pair[..., 0], pair[..., 1])) for pair in (estimate, drawn)]
    logs = [np.where(np.isfinite(part), part, np.nan) for part in logs]
    edges = interval(logs[1], logs[0], options.level)
    ratio = [float(np.exp(part)) for part in (logs[0], *(edge.numpy() for edge in edges))]
    # As the interval: moved to the estimate, since resampling makes all distances a little larger.
    moved = logs[1][np.isfinite(logs[1])]
    moved = moved - np.median(moved) + logs[0] if len(moved) else moved
    p_value = (1 + int((moved >= 0).sum())) / (1 + len(moved)) if len(moved) else math.nan
    within = [curve_distances(*pair, within=shared)[0] for curves in seeds for pair in combinations(curves, 2)]
    within = [distance for distance in within if math.isfinite(distance)]
    return (
        *map(math.exp, shared),
        *(float(part[i]) for i in (0, 1) for part in (estimate, low, high)),
        *ratio,
        p_value,
        float(np.mean(within)) if within else math.nan,
        options.level,
        "",
    )


def _span(behaviour: Behaviour) -> str:
    low, high = map(math.exp, behaviour.curve.range)
    return f"{behaviour.size} has {low:.3g} to {high:.3g}"


def _pooled(behaviours: Sequence[Behaviour]) -> Behaviour:
    """All seeds of a size together, at the steps that all of them have; without seeds that end before others."""
    short = short_seeds({number: behaviour.steps[-1] for number, behaviour in enumerate(behaviours)})
    behaviours = [behaviour for number, behaviour in enumerate(behaviours) if number not in short]
    common = sorted(set.intersection(*(set(behaviour.steps) for behaviour in behaviours)))
    parts = [behaviour.at(common) for behaviour in behaviours]
    surprisal, values = (PerSequence.summed(getattr(part, name) for part in parts) for name in ("surprisal", "values"))
    return replace(parts[0], seed=None, surprisal=surprisal, values=values)
