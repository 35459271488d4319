"""Across trainings, at the same step: every two seeds of a size, and each size with the next larger one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from phasescope.analyses.similarity.comparing import Gathered, asked_of, chance_of, comparable, read
from phasescope.hooks import Site
from phasescope.store import Part, ShardKey, origin_of, parts_of

if TYPE_CHECKING:
    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


def between_seeds(reader: RunReader, size: str, options: Options) -> Iterator[tuple[ShardKey, Part]]:
    """What the seeds of a size told, step by step; nothing where no step has two."""
    by_step: dict[int, list[ShardKey]] = {}
    for key in sorted(key for key in reader.keys if key.size == size):
        by_step.setdefault(key.step, []).append(key)
    cohorts = [by_step[step] for step in sorted(by_step) if len(by_step[step]) > 1]
    if not cohorts:
        return
    sites = comparable(reader.sites(cohorts[-1][-1]))
    chance = chance_of(reader, options)

    def points(places: Sequence[int]) -> Iterator[Part]:
        for place in places:
            gathered = Gathered(chance, options)
            with ExitStack() as opened:
                shards = {key: opened.enter_context(reader.folder.open_shard(key)) for key in cohorts[place]}
                for site in sites:  # one site at a time, of all seeds
                    prepared = [read(key, shard, site, options.measures) for key, shard in shards.items()]
                    for one, other in combinations(prepared, 2):
                        gathered.add(one, "seed", other, seeds=(one.key.seed, other.key.seed))
            yield gathered.part()

    asked = (*asked_of(reader, options), "seeds", sites)
    origins = [origin_of(*asked, [key.seed for key in keys], reader.digests(keys)) for keys in cohorts]
    parts = parts_of(reader.folder.parts(f"similarity/{size}/seeds"), origins, points)
    yield from zip((keys[0] for keys in cohorts), parts, strict=True)


def between_sizes(reader: RunReader, options: Options) -> Iterator[tuple[ShardKey, Part]]:
    """What each size told beside the next larger one, at the same seed and step; layers at the same share of depth."""
    there = set(reader.keys)
    for size, larger in pairwise(reader.sizes):
        found = [
            (key, other)
            for key in sorted(there)
            if key.size == size and (other := ShardKey(larger, key.seed, key.step)) in there
        ]
        if found:
            yield from _two_sizes(reader, found, options)


def _two_sizes(
    reader: RunReader, found: Sequence[tuple[ShardKey, ShardKey]], options: Options
) -> Iterator[tuple[ShardKey, Part]]:
    pairs = layers_beside(*(comparable(reader.sites(key)) for key in found[-1]))
    chance = chance_of(reader, options)

    def points(places: Sequence[int]) -> Iterator[Part]:
        for place in places:
            key, other = found[place]
            gathered = Gathered(chance, options)
            with reader.folder.open_shard(key) as small, reader.folder.open_shard(other) as large:
                for site, beside in pairs:
                    one, two = read(key, small, site, options.measures), read(other, large, beside, options.measures)
                    gathered.add(one, "size", two)
            yield gathered.part()

    asked = (*asked_of(reader, options), "sizes", pairs)
    origins = [origin_of(*asked, reader.digests(both)) for both in found]
    path = reader.folder.parts(f"similarity/{found[0][0].size}/beside-{found[0][1].size}")
    yield from zip((key for key, _ in found), parts_of(path, origins, points), strict=True)


def layers_beside(sites: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]]:
    """Each site with that of the other model of the same component at the nearest share of its depth.

    >>> few, many = ([f"blocks.{layer}.hook_z" for layer in range(layers)] for layers in (2, 5))
    >>> layers_beside(few, many)
    [('blocks.0.hook_z', 'blocks.0.hook_z'), ('blocks.1.hook_z', 'blocks.4.hook_z')]
    """
    by_component: dict[str, tuple[list[Site], list[Site]]] = {}
    for side, names in enumerate((sites, others)):
        for site in map(Site.parse, names):
            by_component.setdefault(site.component, ([], []))[side].append(site)
    found = []
    for mine, theirs in by_component.values():
        for place, site in enumerate(mine if theirs else []):
            share = place / (len(mine) - 1) if len(mine) > 1 else 1.0
            found.append((site.name, theirs[round(share * (len(theirs) - 1))].name))
    return found
