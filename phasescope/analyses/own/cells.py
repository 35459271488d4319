"""What a measure is called with: every site of every checkpoint, or pairs of these, one shard after the other.

What is held at once is one array, or as many as are compared with; where these are more than fit, sites are read in
several rounds. Memory does not grow with checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import prod
from typing import TYPE_CHECKING

from phasescope.hooks import Site

if TYPE_CHECKING:
    from torch import Tensor

    from phasescope.analyses.choosing import Trajectory
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

    Part = tuple[str, int | None]
    Units = Iterator[Iterator["Cell"]]

# Bytes of activations that are held to be compared with.
_HELD = 1 << 30


@dataclass(frozen=True)
class Cell:
    """One call of a measure. other: the step, seed or layer that it is compared with; None without pairs."""

    key: ShardKey
    site: Site
    head: int | None
    arrays: tuple[Tensor, ...]
    other: int | None = None

    @property
    def label(self) -> str:
        head = "" if self.head is None else f" head {self.head}"
        return f"{self.site.short}{head} of {self.key.label}"


def parts(reader: RunReader, key: ShardKey, sites: Sequence[str]) -> Iterator[tuple[Part, Tensor]]:
    """((site, head), `[samples, d]` float32) of these sites: the whole where there is one, and each head.

    The whole of `ov_out` is the sum over heads; `z` and `pattern` have none.
    """
    import torch

    from phasescope.store import recorded_site

    with reader.folder.open_shard(key) as shard:
        for site in sites:
            found = recorded_site(shard, site)
            if found.values.ndim == 2:
                yield (site, None), torch.from_numpy(found.values).float()
                continue
            if Site.parse(site).component == "ov_out":
                yield (site, None), torch.from_numpy(found.total()).float()
            for head in range(found.values.shape[1]):
                yield (site, head), torch.from_numpy(found.head(head)).float()


@dataclass(frozen=True)
class Round:
    """Some sites of one training, or of all seeds: units that are gone through one after the other, each once."""

    units: int
    go: Callable[[], Iterator[Iterator[Cell]]]


def rounds(
    reader: RunReader, pairs: str | None, trajectories: Sequence[Trajectory], sites: Mapping[str, Sequence[str]]
) -> list[Round]:
    """All that is to be measured. sites: of each size, full names. pairs: as `run.map` has it."""
    if pairs == "seeds":
        return list(_between_seeds(reader, trajectories, sites))
    found: list[Round] = []
    for size, seed, keys in trajectories:
        last = max(key for key in reader.keys if (key.size, key.seed) == (size, seed))
        holding = pairs in ("final", "previous")
        groups = _that_fit(reader, last, sites[size], held=1) if holding else [sites[size]]
        found += [Round(len(keys), partial(_WAYS[pairs], reader, keys, some, last)) for some in groups]
    return found


def _alone(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], last: ShardKey) -> Units:
    for key in keys:
        yield (Cell(key, Site.parse(site), head, (x,)) for (site, head), x in parts(reader, key, sites))


def _to_final(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], last: ShardKey) -> Units:
    final = dict(parts(reader, last, sites))
    for key in keys:
        yield (
            Cell(key, Site.parse(site), head, (x, final[site, head]), last.step)
            for (site, head), x in parts(reader, key, sites)
        )


def _to_previous(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], last: ShardKey) -> Units:
    before: dict[Part, Tensor] = {}

    def unit(key: ShardKey, previous: ShardKey | None) -> Iterator[Cell]:
        for (site, head), x in parts(reader, key, sites):
            if previous is not None:
                yield Cell(key, Site.parse(site), head, (x, before[site, head]), previous.step)
            before[site, head] = x

    for key, previous in zip(keys, [None, *keys], strict=False):
        yield unit(key, previous)


def _between_layers(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], last: ShardKey) -> Units:
    def unit(key: ShardKey) -> Iterator[Cell]:
        by_component: dict[str, list[str]] = {}
        for name in sites:
            by_component.setdefault(Site.parse(name).component, []).append(name)
        for names in by_component.values():
            whole = {Site.parse(site): x for (site, head), x in parts(reader, key, names) if head is None}
            for one, other in combinations(sorted(whole), 2):
                yield Cell(key, one, None, (whole[one], whole[other]), other.layer)

    return (unit(key) for key in keys)


_WAYS = {None: _alone, "final": _to_final, "previous": _to_previous, "layers": _between_layers}


def _between_seeds(
    reader: RunReader, trajectories: Sequence[Trajectory], sites: Mapping[str, Sequence[str]]
) -> Iterator[Round]:
    for size in dict.fromkeys(size for size, _, _ in trajectories):
        cohorts: dict[int, list[ShardKey]] = {}
        for key in sorted(key for of, _, keys in trajectories if of == size for key in keys):
            cohorts.setdefault(key.step, []).append(key)
        several = [cohorts[step] for step in sorted(cohorts) if len(cohorts[step]) > 1]
        if several:
            for some in _that_fit(reader, several[-1][0], sites[size], held=len(max(several, key=len))):
                yield Round(len(several), partial(_cohorts, reader, several, some))


def _cohorts(reader: RunReader, cohorts: Sequence[Sequence[ShardKey]], sites: Sequence[str]) -> Units:
    def unit(keys: Sequence[ShardKey]) -> Iterator[Cell]:
        of_seed = {key: dict(parts(reader, key, sites)) for key in keys}
        for one, other in combinations(keys, 2):
            for (site, head), x in of_seed[one].items():
                yield Cell(one, Site.parse(site), head, (x, of_seed[other][site, head]), other.seed)

    return (unit(keys) for keys in cohorts)


def _that_fit(reader: RunReader, key: ShardKey, sites: Sequence[str], held: int) -> list[list[str]]:
    """Sites in groups of which so many checkpoints fit into memory."""
    from phasescope.store import site_shape

    groups: list[list[str]] = []
    room = 0.0
    with reader.folder.open_shard(key) as shard:
        for site in sites:
            needs = 4.0 * held * prod(site_shape(shard, site))
            if not groups or needs > room:
                groups.append([])
                room = _HELD
            groups[-1].append(site)
            room -= needs
    return groups
