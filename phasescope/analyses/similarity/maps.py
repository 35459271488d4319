"""Layer × layer: every layer of one checkpoint beside every layer of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from phasescope.analyses.reader import as_table
from phasescope.analyses.similarity.columns import MAPS, measures_named
from phasescope.analyses.similarity.comparing import Prepared, comparable, read
from phasescope.console import too_few
from phasescope.errors import BadArgumentError
from phasescope.hooks import Site
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

ASKED = "asked for"


def map_rows(reader: RunReader, options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of the maps that tell most, and of those asked for."""
    for name, one, other in _telling(reader):
        yield from rows_between(reader, name, one, other, options.measures)
    for pair in options.maps:
        one, other = (checkpoint_named(reader, name) for name in pair.split(":"))
        yield from rows_between(reader, ASKED, one, other, options.measures)


def layer_map(
    reader: RunReader, one: ShardKey, other: ShardKey, measures: Sequence[str], components: Sequence[str] | None = None
) -> DataFrame:
    """The map of any two checkpoints, as the table `similarity_maps` has it. components: None: all that both have.

    Raises `PhasescopeError` for a measure there is not, and where they have no such component in common.
    """
    measures = measures_named(measures)
    made: DataFrame = as_table(list(rows_between(reader, ASKED, one, other, measures, components)), MAPS)
    return made


def checkpoint_named(reader: RunReader, name: str) -> ShardKey:
    """The shard of `1m/seed1/step512`; `PhasescopeError` with the nearest where it is not there, or it is no name."""
    size, _, rest = name.strip().rpartition("/seed")
    seed, _, step = rest.partition("/step")
    if not size or not seed.isdigit() or not step.isdigit():
        known = reader.keys[-1].label
        raise BadArgumentError(f"{name!r} names no checkpoint: write size, seed and step, as in {known}.")
    return reader.key(reader.size(size), int(seed), int(step))


def rows_between(
    reader: RunReader,
    name: str,
    one: ShardKey,
    other: ShardKey,
    measures: Sequence[str],
    components: Sequence[str] | None = None,
) -> Iterator[tuple[Any, ...]]:
    """Rows of one map, component by component."""
    mine, theirs = (_by_component(reader, key, components) for key in (one, other))
    common = [component for component in mine if component in theirs]
    if not common:
        asked = f" called {' or '.join(components)}" if components else ""
        known = ", ".join(_by_component(reader, one, None)) or "none"
        raise BadArgumentError(f"{one.label} and {other.label} have no component{asked} in common. There are: {known}.")
    for component in common:
        rows = _prepared(reader, one, mine[component], measures)
        columns = rows if one == other else _prepared(reader, other, theirs[component], measures)
        for first in rows:
            for second in columns:
                yield from cells_of(name, first, second)


def cells_of(name: str, one: Prepared, other: Prepared) -> Iterator[tuple[Any, ...]]:
    """Rows of one cell of a map, a measure each."""
    beside = (other.key.size, other.key.seed, other.key.step, other.site.layer)
    where = (name, one.key.size, one.key.seed, one.key.step, one.site.component, one.site.layer, *beside)
    for measure, side in one.sides.items():
        value = float(side.to(other.sides[measure]))
        why = one.reason or other.reason or side.why_not(other.sides[measure]) or too_few(one.samples, "sample")
        yield (*where, measure, value, one.samples, "" if value == value else why)


def _telling(reader: RunReader) -> Iterator[tuple[str, ShardKey, ShardKey]]:
    """Of the first seed of each size: its first and last step, both, another seed's last, the next larger size's."""
    ends: dict[str, dict[int, tuple[ShardKey, ShardKey]]] = {}
    for size, seed, keys in reader.trajectories():
        if comparable(reader.sites(keys[-1])):
            ends.setdefault(size, {})[seed] = keys[0], keys[-1]
    for of_seeds in ends.values():
        (first, last), *others = of_seeds.values()
        yield "last step", last, last
        if first != last:
            yield "first step", first, first
            yield "last and first step", last, first
        if others:
            yield "two seeds", last, others[0][1]
    for small, large in pairwise(ends.values()):
        yield "two sizes", next(iter(small.values()))[1], next(iter(large.values()))[1]


def _by_component(reader: RunReader, key: ShardKey, components: Sequence[str] | None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in comparable(reader.sites(key)):
        component = Site.parse(name).component
        if components is None or component in components:
            found.setdefault(component, []).append(name)
    return found


def _prepared(reader: RunReader, key: ShardKey, sites: Sequence[str], measures: Sequence[str]) -> list[Prepared]:
    with reader.folder.open_shard(key) as shard:
        return [read(key, shard, site, measures) for site in sites]
