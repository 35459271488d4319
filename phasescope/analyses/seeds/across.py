"""How far is a model from itself at another step, and from another size at the same step? (study B)

Reads what `phasescope compare` (or a capture with `--compare`) wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.resampled_means import mean_intervals

if TYPE_CHECKING:
    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


def across_rows(reader: RunReader, options: Options) -> list[tuple[Any, ...]]:
    """Rows of `kl_across`: `last` and `previous` steps of each training, and `size`: other sizes of the same seed.

    `kl` is KL(p ‖ the other), `kl_back` KL(the other ‖ p).
    """
    order = {size: place for place, size in enumerate(reader.sizes)}
    rows = [*_steps(reader, options), *_sizes(reader, options)]
    relations = ("last", "previous", "size")
    known = [row for row in rows if row[1] in order and row[4] in order]
    return sorted(known, key=lambda row: (relations.index(row[0]), order[row[1]], order[row[4]], row[2], row[3]))


def _steps(reader: RunReader, options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.store import ShardKey, open_container

    omitted = reader.omitted
    for key in reader.folder.step_comparisons():
        if key in omitted:
            continue
        with open_container(reader.folder.step_comparison(key), "comparison") as made:
            for relation in ("last", "previous"):
                other_key = ShardKey(key.size, key.seed, int(made.attrs.get(f"{relation}_step", -1)))
                if f"kl_{relation}" in made.names() and other_key not in omitted:
                    kl, other = made.read(f"kl_{relation}"), int(made.attrs[f"{relation}_step"])
                    yield (relation, key.size, key.seed, key.step, key.size, other, *_numbers(kl, options))


def _sizes(reader: RunReader, options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.store import ShardKey, open_container

    omitted = reader.omitted
    for seed, step in reader.folder.size_comparisons():
        with open_container(reader.folder.size_comparison(seed, step), "comparison") as made:
            kl, sizes = made.read("kl"), [str(size) for size in made.read("sizes")]
        for i, size in enumerate(sizes):
            for j in range(i + 1, len(sizes)):
                if {ShardKey(size, seed, step), ShardKey(sizes[j], seed, step)} & omitted:
                    continue
                both = np.stack([kl[i, j], kl[j, i]])
                yield ("size", size, seed, step, sizes[j], step, *_numbers(both, options))


def _numbers(kl: np.ndarray[Any, Any], options: Options) -> tuple[float | int, ...]:
    there, back = mean_intervals(kl, options)
    return (*there, *back, options.level, kl.shape[1], kl.shape[1] * kl.shape[2])
