"""Behaviour of models along training, beside the validation perplexity at every step.

Every curve is kept as sums and counts per sequence: resampling sequences then moves a behaviour and the perplexity it
is drawn against together, and memory does not grow with tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.cohorts import parts_by_cohort
from phasescope.analyses.trajectories.per_sequence import PerSequence

if TYPE_CHECKING:
    from jaxtyping import Int8
    from numpy import ndarray

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.analyses.trajectories.outputs import Trajectories
    from phasescope.measures import PerplexityCurve
    from phasescope.store import Part

    Array = ndarray[Any, Any]

# Goes up when the same cohorts give other numbers.
_VERSION = 1


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
    for size, step, part in parts_by_cohort(reader, "trajectories", (_VERSION,), partial(_kl_part, reader)):
        mine = [of_seeds.get(size, {}).get(seed) for seed in part["seeds"].tolist()]
        known = [behaviour.at([step]) for behaviour in mine if behaviour and step in behaviour.steps]
        if len(known) == len(mine):  # else its perplexity would be that of other models
            surprisal = PerSequence.summed(behaviour.surprisal for behaviour in known)
            found.setdefault(size, []).append((step, surprisal, PerSequence(part["sums"], part["counts"])))
    for size in (size for size in reader.sizes if size in found):
        points = found[size]
        surprisals, values = PerSequence.stacked([p[1] for p in points]), PerSequence.stacked([p[2] for p in points])
        yield Behaviour("KL between seeds", size, None, [step for step, _, _ in points], surprisals, values)


def _kl_part(reader: RunReader, size: str, step: int) -> Part:
    with reader.folder.open_cohort(size, step) as cohort:
        seeds, kl = cohort.read("seeds"), cohort.read("kl")
    pairs = kl[~np.eye(len(seeds), dtype=bool)].mean(0)  # [sequences, positions]
    values = PerSequence.of(pairs[None])
    return {"seeds": seeds, "sums": values.sums, "counts": values.counts}
