"""What an analysis takes from each cohort: how the seeds of a size say the same text at one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from phasescope.store import digests, origin_of, parts_of

if TYPE_CHECKING:
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Part


def parts_by_cohort(
    reader: RunReader, name: str, asked: Sequence[object], make: Callable[[str, int], Part]
) -> Iterator[tuple[str, int, Part]]:
    """Size, step and what is taken from each cohort, smallest size first, by step; of each size in one file.

    asked: what else it depends on: a version of the code, options.
    """
    omitted = reader.omitted
    for size in reader.sizes:
        steps = sorted(step for of_size, step in reader.folder.cohorts() if of_size == size)
        of = digests(reader.folder, [reader.folder.cohort(size, step) for step in steps]).values()
        # With those of its shards: that a cohort is not of those that are there is seen where it is opened.
        keys = [key for key in reader.shards if key.size == size]
        shards: dict[int, list[tuple[str, bool]]] = {step: [] for step in steps}
        for key, digest in zip(keys, reader.digests(keys), strict=True):
            shards.setdefault(key.step, []).append((digest, key in omitted))
        origins = [origin_of(*asked, digest, shards[step]) for step, digest in zip(steps, of, strict=True)]
        path = reader.folder.parts(f"{name}/{size}/cohorts")
        parts = parts_of(path, origins, partial(_made, make, size, steps))
        yield from ((size, step, part) for step, part in zip(steps, parts, strict=True))


def _made(make: Callable[[str, int], Part], size: str, steps: Sequence[int], places: Sequence[int]) -> Iterator[Part]:
    return (make(size, steps[place]) for place in places)
