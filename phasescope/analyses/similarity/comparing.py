"""Sites prepared for all measures asked for, and what comparisons of them told: rows, and sums for means over sites."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import read_activations
from phasescope.analyses.similarity.columns import COMPARED
from phasescope.console import too_few
from phasescope.hooks import Site
from phasescope.hooks.sites import ATTENDING, ROUTING
from phasescope.store import Part, rows_as_part

if TYPE_CHECKING:
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.measures import Chance, Side, Told
    from phasescope.store import Container, ShardKey

# Goes up when the same shards give other numbers.
_VERSION = 2
Key = tuple[int, str, str]
"""Whose mean it is: seed, relation, measure."""


def asked_of(reader: RunReader, options: Options) -> tuple[Any, ...]:
    """All that parts depend on beside shards and sites."""
    inputs = reader.inputs
    drawn = (options.resamples, options.level, options.seed)
    return _VERSION, inputs.sequences, inputs.sampled, list(options.measures), *drawn


def chance_of(reader: RunReader, options: Options) -> Chance:
    """Whole sequences are drawn, and change places, with all their sampled positions."""
    from phasescope.measures import Chance

    return Chance.of(reader.inputs.sampled, reader.inputs.sequences, options.resamples, options.seed)


def comparable(names: Iterable[str]) -> list[str]:
    """The sites that are clouds of features, component by component, the first layer first."""
    sites = [Site.parse(name) for name in names]
    order = list(dict.fromkeys(site.component for site in sites))
    kept = [site for site in sites if site.component not in (*ATTENDING, *ROUTING)]
    return [site.name for site in sorted(kept, key=lambda site: (order.index(site.component), site.layer))]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A site of a checkpoint, ready to be compared by each measure."""

    key: ShardKey
    site: Site
    samples: int
    sides: dict[str, Side]
    reason: str

    @classmethod
    def of(cls, key: ShardKey, site: str, values: Tensor, measures: Sequence[str]) -> Prepared:
        """values: `[samples, d]`."""
        from phasescope.measures import SIMILARITIES

        sides = {name: SIMILARITIES[name].side(values) for name in measures}
        return cls(key, Site.parse(site), len(values), sides, _reason(values))


def read(key: ShardKey, shard: Container, site: str, measures: Sequence[str]) -> Prepared:
    """A site of a shard, whole, without its heads."""
    _, values = next(read_activations(shard, site))
    return Prepared.of(key, site, values, measures)


def _reason(values: Tensor) -> str:
    """Why activations cannot be compared; "" where they can."""
    if not bool(values.isfinite().all()):
        return "activations are not finite"
    if len(values) < 2:
        return "one sample has no variance"
    return "no variance" if bool((values == values[0]).all()) else ""


@dataclass(eq=False)
class Gathered:
    """What comparisons told: rows of `COMPARED`, and of each mean the sums that it is made of."""

    chance: Chance
    options: Options
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    sums: dict[Key, list[Any]] = field(default_factory=dict)

    def add(self, one: Prepared, relation: str, other: Prepared, *, seeds: Sequence[int] | None = None) -> None:
        """Compare two. seeds: whose means it enters; None: of the first."""
        from phasescope.measures import interval

        level = self.options.level
        where = (one.key.size, one.key.seed, one.key.step, one.site.name, one.site.layer, one.site.component)
        beside = (other.key.size, other.key.seed, other.key.step, other.site.layer)
        for name, side in one.sides.items():
            told = side.told(other.sides[name], self.chance)
            low, high = interval(told.replicates, told.value, level)
            numbers = tuple(float(value) for value in (told.value, low, high, told.shuffled))
            reason = "" if numbers[0] == numbers[0] else self._why(one, other, name)
            self.rows.append((*where, relation, *beside, name, *numbers, one.samples, level, reason))
            if not math.isnan(numbers[0]):
                for seed in [one.key.seed] if seeds is None else seeds:
                    self._sum((seed, relation, name), told)

    def _why(self, one: Prepared, other: Prepared, measure: str) -> str:
        first, second = one.sides[measure], other.sides[measure]
        few = f"{too_few(one.samples, 'sample')}, or some are zero"
        return one.reason or other.reason or first.why_not(second) or few

    def _sum(self, key: Key, told: Told) -> None:
        kept = self.sums.setdefault(key, [0, 0.0, 0.0, np.zeros(len(told.replicates))])
        for place, more in enumerate((1, float(told.value), float(told.shuffled), told.replicates.numpy())):
            kept[place] = kept[place] + more

    def part(self) -> Part:
        """Arrays to keep."""
        keys = list(self.sums) or []
        sums = list(self.sums.values())
        return {
            **rows_as_part(self.rows, COMPARED),
            "sum_seed": np.array([seed for seed, _, _ in keys], dtype=np.int64),
            "sum_relation": np.array([relation for _, relation, _ in keys], dtype=str),
            "sum_measure": np.array([measure for _, _, measure in keys], dtype=str),
            "sum_compared": np.array([one[0] for one in sums], dtype=np.int64),
            "sum_value": np.array([one[1] for one in sums], dtype=np.float64),
            "sum_shuffled": np.array([one[2] for one in sums], dtype=np.float64),
            "sum_replicates": np.array([one[3] for one in sums], dtype=np.float64).reshape(-1, self.options.resamples),
        }
