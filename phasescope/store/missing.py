"""Which shards a run was asked for and does not have: some were never captured, others are gone."""

from __future__ import annotations

from dataclasses import dataclass

from phasescope.store.folder import RunFolder, ShardKey
from phasescope.store.index import read_index


@dataclass(frozen=True)
class Missing:
    """Shards that were asked for, of checkpoints that could be read, and that are not there.

    Attributes:
        all: in order.
        lost: those of them that were there: the index has them.
        last: those of them that are the last step of a training of which others are there.
    """

    all: tuple[ShardKey, ...]
    lost: tuple[ShardKey, ...]
    last: tuple[ShardKey, ...]


def missing_shards(folder: RunFolder, manifest: dict[str, object]) -> Missing:
    """Which shards of a run are missing, by its manifest and, of those, by its index."""
    asked, failed = _keys(manifest["checkpoints"]), _keys(manifest["failed"])
    there = set(folder.shards())
    absent = sorted(asked - failed - there)
    if not absent:
        return Missing((), (), ())
    indexed = set(read_index(folder).values()) if folder.index.is_file() else set()
    lost = tuple(key for key in absent if folder.shard(key).relative_to(folder.path).as_posix() in indexed)
    ends: dict[tuple[str, int], int] = {}
    for key in asked - failed:
        ends[key.size, key.seed] = max(key.step, ends.get((key.size, key.seed), 0))
    begun = {(key.size, key.seed) for key in there}
    last = (key for key in absent if (key.size, key.seed) in begun and ends[key.size, key.seed] == key.step)
    return Missing(tuple(absent), lost, tuple(last))


def _keys(checkpoints: object) -> set[ShardKey]:
    assert isinstance(checkpoints, list)  # as every manifest that was read
    return {ShardKey(one["size"], one["seed"], one["step"]) for one in checkpoints}
