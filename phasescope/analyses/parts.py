"""What an analysis takes from each shard alone (`phasescope.store.parts`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from phasescope.store import origin_of, parts_of

if TYPE_CHECKING:
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Part, ShardKey


def parts_by_shard(
    reader: RunReader,
    name: str,
    asked: Sequence[object],
    make: Callable[[ShardKey], Part],
    sizes: Sequence[str] | None = None,
) -> Iterator[tuple[ShardKey, Part]]:
    """What an analysis takes from each shard alone, in the order of `reader.keys`; of each training in one file.

    asked: what else it depends on: a version of the code, options.
    sizes: of these alone; None: of all.
    """
    chosen = (key for key in reader.keys if sizes is None or key.size in sizes)
    for (size, seed), group in groupby(chosen, key=lambda key: (key.size, key.seed)):
        keys = list(group)
        origins = [origin_of(*asked, digest) for digest in reader.digests(keys)]
        path = reader.folder.parts(f"{name}/{size}/seed{seed}")
        yield from zip(keys, parts_of(path, origins, partial(_made, make, keys)), strict=True)


def _made(make: Callable[[ShardKey], Part], keys: Sequence[ShardKey], places: Sequence[int]) -> Iterator[Part]:
    return (make(keys[place]) for place in places)
