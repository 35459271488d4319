"""Within one training: each site to its final state, to the step before, and to the next layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING

from phasescope.analyses.similarity.comparing import Gathered, Prepared, asked_of, chance_of, comparable, read
from phasescope.hooks import Site
from phasescope.store import Part, origin_of, parts_of

if TYPE_CHECKING:
    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.measures import Chance
    from phasescope.store import ShardKey

# Final states and those of the step before are held: matrices of samples × samples.
_HELD_BYTES = 1 << 30
_MATRICES = 3


def within(reader: RunReader, keys: Sequence[ShardKey], options: Options) -> Iterator[tuple[ShardKey, Part]]:
    """What each checkpoint of a training told, site after site, of a few sites at once."""
    digests = reader.digests(keys)
    sites = comparable(reader.sites(keys[-1]))
    following = {one: other for one, other in pairwise(sites) if _component(one) == _component(other)}
    chance = chance_of(reader, options)
    for some in _that_fit(reader, keys[-1], sites):
        asked = (*asked_of(reader, options), "within", some, [following.get(site, "") for site in some])
        before = ["", *digests]
        parts = parts_of(
            reader.folder.parts(f"similarity/{keys[-1].size}/seed{keys[-1].seed}/{some[0]}"),
            [origin_of(*asked, now, last, digests[-1]) for now, last in zip(digests, before, strict=False)],
            partial(_points, reader, keys, some, following, chance, options),
        )
        yield from zip(keys, parts, strict=True)


def _points(
    reader: RunReader,
    keys: Sequence[ShardKey],
    sites: Sequence[str],
    following: dict[str, str],
    chance: Chance,
    options: Options,
    places: Sequence[int],
) -> Iterator[Part]:
    """The parts in these places; a checkpoint that was prepared is not prepared again for the one after it."""
    measures = options.measures
    final = _prepared(reader, keys[-1], sites, measures)
    at, held = len(keys) - 1, final
    more = [following[site] for site in sites[-1:] if site in following]
    for place in places:
        key = keys[place]
        previous = {} if not place else held if at == place - 1 else _prepared(reader, keys[place - 1], sites, measures)
        now = final if place == len(keys) - 1 else _prepared(reader, key, sites, measures)
        beyond = _prepared(reader, key, more, measures)
        gathered = Gathered(chance, options)
        for site in sites:
            gathered.add(now[site], "final", final[site])
            if place:
                gathered.add(now[site], "previous", previous[site])
            if site in following:
                gathered.add(now[site], "next_layer", (now | beyond)[following[site]])
        at, held = place, now
        yield gathered.part()


def _prepared(reader: RunReader, key: ShardKey, sites: Sequence[str], measures: Sequence[str]) -> dict[str, Prepared]:
    if not sites:
        return {}
    with reader.folder.open_shard(key) as shard:
        return {site: read(key, shard, site, measures) for site in sites}


def _component(site: str) -> str:
    return Site.parse(site).component


def _that_fit(reader: RunReader, key: ShardKey, sites: Sequence[str]) -> Iterator[list[str]]:
    """Sites that follow each other, of which two checkpoints fit into memory."""
    samples = reader.inputs.sampled
    some: list[str] = []
    room = 0.0
    with reader.folder.open_shard(key) as shard:
        widths = [prod(shard.shape(f"activations/{site}")[1:]) for site in sites]
    for site, width in zip(sites, widths, strict=True):
        needs = 2 * 8 * samples * (width + _MATRICES * samples)
        if some and needs > room:
            yield some
            some = []
        room = (room if some else _HELD_BYTES) - needs
        some.append(site)
    if some:
        yield some
