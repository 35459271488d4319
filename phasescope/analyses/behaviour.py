"""Behaviour against validation perplexity instead of step, and how well sizes line up there.

Part of the analysis `trajectories`. Every curve is kept as sums and counts per sequence: resampling sequences then
moves a behaviour and the perplexity it is drawn against together, and memory does not grow with tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Float64, Int8
    from numpy import ndarray
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader
    from phasescope.analyses.registry import Options
    from phasescope.analyses.trajectories import Trajectories
    from phasescope.measures import PerplexityCurve

    Array = ndarray[Any, Any]

AGAINST = {
    "size": "str", "seed": "Int64", "measure": "str", "perplexity": "float64", "value": "float64", "low": "float64",
    "high": "float64", "step": "float64", "level": "float64",
}  # fmt: skip
ALIGNMENT = {
    "size_a": "str", "size_b": "str", "measure": "str", "perplexity_low": "float64", "perplexity_high": "float64",
    "distance": "float64", "low": "float64", "high": "float64", "step_distance": "float64", "step_low": "float64",
    "step_high": "float64", "ratio": "float64", "ratio_low": "float64", "ratio_high": "float64", "p_value": "float64",
    "seed_distance": "float64", "level": "float64", "reason": "str",
}  # fmt: skip
# Places on the perplexity axis from the lowest to the highest of the run, evenly spaced in log-perplexity.
_PLACES = 60
_LOG = "log-perplexity"  # while tables are joined; no table of ours has a column of that name


@dataclass(frozen=True)
class PerSequence:
    """A mean along training that can be resampled: of every step and sequence a sum, and how many values it is of."""

    sums: Float64[Array, "checkpoints sequences"]
    counts: Float64[Array, "checkpoints sequences"]

    @classmethod
    def of(cls, values: Array) -> PerSequence:
        """From `[checkpoints, sequences, …]`; what is not finite is not there."""
        flat = values.reshape(*values.shape[:2], -1)
        known = np.isfinite(flat)
        return cls(np.where(known, flat, 0).sum(2, dtype=np.float64), known.sum(2, dtype=np.float64))

    @classmethod
    def stacked(cls, parts: Sequence[PerSequence]) -> PerSequence:
        """Several checkpoints, one after the other."""
        return cls(np.concatenate([part.sums for part in parts]), np.concatenate([part.counts for part in parts]))

    def __add__(self, other: PerSequence) -> PerSequence:
        return PerSequence(self.sums + other.sums, self.counts + other.counts)

    def at(self, rows: Sequence[int]) -> PerSequence:
        """The checkpoints in these places."""
        return PerSequence(self.sums[list(rows)], self.counts[list(rows)])

    @property
    def mean(self) -> Float64[Array, "checkpoints"]:
        return ratio_of(self.sums.sum(1), self.counts.sum(1))

    def replicates(self, options: Options) -> Float64[Array, "resamples checkpoints"]:
        """The mean in each resample of the sequences; NaN where one has values: it says nothing of how they differ."""
        from phasescope.measures import bootstrap_weights

        weights = bootstrap_weights(self.sums.shape[1], options.resamples, options.seed).numpy().astype(np.float64)
        drawn = ratio_of(weights @ self.sums.T, weights @ self.counts.T)
        return np.where((self.counts > 0).sum(1) > 1, drawn, np.nan)


@dataclass(frozen=True)
class Behaviour:
    """One measure of one size along training, of one seed or (seed None) of all."""

    measure: str
    size: str
    seed: int | None
    steps: list[int]
    surprisal: PerSequence  # its mean is the logarithm of the validation perplexity
    values: PerSequence

    def at(self, steps: Sequence[int]) -> Behaviour:
        """The same at these steps alone."""
        rows = [self.steps.index(step) for step in steps]
        return replace(self, steps=list(steps), surprisal=self.surprisal.at(rows), values=self.values.at(rows))

    @property
    def curve(self) -> PerplexityCurve:
        return self._curve(self.surprisal.mean, self.values.mean)

    def replicates(self, options: Options) -> list[PerplexityCurve]:
        """The curve in each resample of the sequences: the same sequences for its values and its perplexity."""
        pairs = zip(self.surprisal.replicates(options), self.values.replicates(options), strict=True)
        return [self._curve(*pair) for pair in pairs]

    def _curve(self, log_perplexity: Array, values: Array) -> PerplexityCurve:
        from phasescope.measures import PerplexityCurve

        return PerplexityCurve(np.asarray(self.steps), log_perplexity, values)


def behaviours_of(run: Trajectories, classes: Int8[Array, "sequences positions"]) -> Iterator[Behaviour]:
    """What the outputs of one size and seed tell: entropy, how many tokens are likely, and each class's surprisal.

    classes: which tokens are followed as which class; the same for every size and seed.
    """
    from phasescope.measures import TRAJECTORY_CLASSES

    surprisal = PerSequence.of(run.surprisal)
    # Half or more of the probability: the model's own first choice, whatever the others are.
    likely = np.where(np.isfinite(run.surprisal), run.surprisal <= math.log(2), np.nan)
    found = {"entropy": run.entropy, "likely tokens": PerSequence.of(likely)}
    for place, name in enumerate(TRAJECTORY_CLASSES):
        if (classes == place).any():
            found[f"surprisal of {name} tokens"] = PerSequence.of(np.where(classes == place, run.surprisal, np.nan))
    for measure, values in found.items():
        yield Behaviour(measure, run.size, run.seed, run.steps, surprisal, values)


def kl_between_seeds(reader: RunReader, behaviours: Sequence[Behaviour]) -> Iterator[Behaviour]:
    """KL between the seeds of each size, against the perplexity of all its seeds together."""
    of_seeds: dict[str, dict[int, Behaviour]] = {}
    for behaviour in behaviours:
        if behaviour.seed is not None:
            of_seeds.setdefault(behaviour.size, {})[behaviour.seed] = behaviour
    found: dict[str, list[tuple[int, PerSequence, PerSequence]]] = {}
    for size, step in reader.folder.cohorts():
        with reader.folder.open_cohort(size, step) as cohort:
            seeds = [int(seed) for seed in cohort.read("seeds")]
            mine = [of_seeds.get(size, {}).get(seed) for seed in seeds]
            known = [behaviour.at([step]) for behaviour in mine if behaviour and step in behaviour.steps]
            if len(known) < len(seeds):
                continue  # its perplexity would be that of other models
            kl = cohort.read("kl")
        pairs = kl[~np.eye(len(seeds), dtype=bool)].mean(0)  # [sequences, positions]
        surprisal = _sum(behaviour.surprisal for behaviour in known)
        found.setdefault(size, []).append((step, surprisal, PerSequence.of(pairs[None])))
    for size in (size for size in reader.sizes if size in found):
        points = found[size]
        surprisals, values = PerSequence.stacked([p[1] for p in points]), PerSequence.stacked([p[2] for p in points])
        yield Behaviour("KL between seeds", size, None, [step for step, _, _ in points], surprisals, values)


def against_perplexity(behaviours: Sequence[Behaviour], options: Options) -> DataFrame:
    """Table `against_perplexity`: every curve at the same perplexities, within its own range and never beyond it."""
    from phasescope.measures import interval

    ranges = np.array([behaviour.curve.range for behaviour in behaviours])
    ranges = ranges[np.isfinite(ranges).all(1)] if len(ranges) else ranges
    rows: list[tuple[Any, ...]] = []
    places = np.linspace(ranges[:, 0].min(), ranges[:, 1].max(), _PLACES) if len(ranges) else np.zeros(0)
    for behaviour in behaviours:
        values, curve = behaviour.values, behaviour.curve
        edges = interval(values.replicates(options), values.mean, options.level)
        low, high = (replace(curve, values=edge.numpy()) for edge in edges)
        columns = [np.exp(places), *(part.at(places) for part in (curve, low, high)), curve.step_at(places)]
        known = np.isfinite(columns[1])
        where = (behaviour.size, behaviour.seed, behaviour.measure)
        rows += [(*where, *row, options.level) for row in np.stack(columns, 1)[known].tolist()]
    table: DataFrame = as_table(rows, AGAINST)
    return table


def table_against_perplexity(
    table: DataFrame, surprisal: DataFrame, value: str, *, low: str = "low", high: str = "high", by: Sequence[str] = ()
) -> DataFrame:
    """Any tidy table with a step, at the same perplexities: one of ours, or one measured elsewhere.

    Args:
        table: columns size, step, the value, and `by`; with a seed, else against the perplexity of all seeds together.
        surprisal: the table of that name, which has the perplexities.
        value, low, high: columns of the curve and its interval; the interval is left out where the table has none.
        by: columns that tell curves of one size and seed apart, such as predictor or site.

    Returns:
        Columns size, seed (missing: all), those of `by`, perplexity, value, low, high, step (interpolated).

    Raises:
        PhasescopeError: a column is missing, or rows are not told apart.
    """
    import pandas as pd

    seeded = "seed" in table
    keys = ["size", *(["seed"] if seeded else []), *by]
    for column in (*keys, "step", value):
        if column not in table:
            raise PhasescopeError(f"The table has no column {column!r}. {did_you_mean(column, table.columns)}")
    if table.duplicated([*keys, "step"]).any():
        raise PhasescopeError(f"Several rows have the same {', '.join(keys)} and step. Name what tells them apart: by.")
    where = ["size", "seed", "step"] if seeded else ["size", "step"]
    perplexity = surprisal.rename(columns={"surprisal": _LOG}).groupby(where)[[_LOG]].mean().reset_index()
    known = table.merge(perplexity, on=where).sort_values("step")
    finite = known[np.isfinite(known[[_LOG, value]].astype(float)).all(axis=1)]
    places = np.linspace(finite[_LOG].min(), finite[_LOG].max(), _PLACES) if len(finite) else np.zeros(0)
    parts = []
    for names, rows in known.groupby(keys, sort=False, dropna=False):
        curves = [_tabulated(rows, column) for column in (value, low, high)]
        columns: dict[str, Any] = {"perplexity": np.exp(places)}
        columns |= {name: curve.at(places) for name, curve in zip(("value", "low", "high"), curves, strict=True)}
        columns |= {"step": curves[0].step_at(places)} | dict(zip(keys, names, strict=True))
        parts.append(pd.DataFrame(columns)[np.isfinite(columns["value"])])
    order = ["size", "seed", *by, "perplexity", "value", "low", "high", "step"]
    made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=order)
    return made.reindex(columns=order).astype({"seed": "Int64"})


def _tabulated(rows: DataFrame, column: str) -> PerplexityCurve:
    from phasescope.measures import PerplexityCurve

    values = rows[column].to_numpy(float) if column in rows else np.full(len(rows), np.nan)
    return PerplexityCurve(rows["step"].to_numpy(float), rows[_LOG].to_numpy(float), values)


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
    if math.isnan(low):
        return f"{behaviour.size} has none at a step of all its seeds"
    return f"{behaviour.size} has {low:.3g} to {high:.3g}"


def _pooled(behaviours: Sequence[Behaviour]) -> Behaviour:
    """All seeds of a size together, at the steps that all of them have."""
    common = sorted(set.intersection(*(set(behaviour.steps) for behaviour in behaviours)))
    parts = [behaviour.at(common) for behaviour in behaviours]
    surprisal, values = (_sum(getattr(part, name) for part in parts) for name in ("surprisal", "values"))
    return replace(parts[0], seed=None, surprisal=surprisal, values=values)


def _sum(parts: Iterator[PerSequence]) -> PerSequence:
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def ratio_of(above: Array, below: Array) -> Array:
    """Quotients; NaN or infinite, without a warning, where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)
