"""Which seeds may be pooled: those whose training was captured as far as that of the others.

A layer's final state is that of its own seed's last step. Of a seed that ends at step 4 it is another state than of
one that ends at step 8, and so are the step at which it settles and the share of training that this is: a median of
both is of nothing. So a seed that ends early keeps its own rows and curves, and is left out of what is said of several
seeds, which is told beside the number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from phasescope import counting

if TYPE_CHECKING:
    from pandas import DataFrame


def last_steps(table: DataFrame) -> dict[int, int]:
    """The last step of each seed; rows of one size with columns seed and `last_step` or `step`, NaN values included."""
    import numpy as np

    if "seed" not in table or table.empty:
        return {}
    known = table["seed"].notna()
    steps = table["last_step" if "last_step" in table else "step"][known].to_numpy(np.int64)
    seeds, place = np.unique(table["seed"][known].to_numpy(np.int64), return_inverse=True)
    ends = np.full(len(seeds), -1, np.int64)
    np.maximum.at(ends, place, steps)
    return {int(seed): int(end) for seed, end in zip(seeds, ends, strict=True)}


def short_seeds(ends: Mapping[int, int]) -> dict[int, int]:
    """Of the last steps of seeds, those that come before the last of all.

    >>> short_seeds({1: 8, 2: 8, 3: 4})
    {3: 4}
    """
    last = max(ends.values(), default=0)
    return {seed: end for seed, end in ends.items() if end < last}


def left_out(table: DataFrame) -> str:
    """Which seeds of a table are left out, and why: `seed 3 left out, which ends at step 4`; "" where none is."""
    of_size = {size: short_seeds(last_steps(rows)) for size, rows in _sizes(table)}
    several = len(of_size) > 1
    return " and ".join(f"{told(short)}{f' (of {size})' * several}" for size, short in of_size.items() if short)


def pooled_seeds(table: DataFrame) -> int:
    """How many seeds are pooled; where there are several sizes, of the size that has most."""
    ends = (last_steps(rows) for _, rows in _sizes(table))
    return max((len(one) - len(short_seeds(one)) for one in ends), default=0)


def pooled(table: DataFrame) -> DataFrame:
    """A table without the seeds that end before others of their size; the table itself where there are none."""
    for size, rows in _sizes(table):
        if short := short_seeds(last_steps(rows)):
            out = table["seed"].isin(list(short))
            table = table[~(out & (table["size"] == size) if "size" in table else out)]
    return table


def _sizes(table: DataFrame) -> list[tuple[str, DataFrame]]:
    if "size" not in table:
        return [("", table)]
    sizes = table["size"].unique()
    return [(str(size), table[table["size"] == size] if len(sizes) > 1 else table) for size in sizes]


def told(short: Mapping[int, int]) -> str:
    """These seeds are left out, and where they end, in words; "" of none.

    >>> told({3: 4}), told({3: 4, 4: 2})
    ('seed 3 left out, which ends at step 4', 'seeds 3 and 4 left out, which end at steps 4 and 2')
    """
    if not short:
        return ""
    several = "s" if len(short) > 1 else ""
    seeds = _listed(list(map(str, short)))
    steps = _listed([counting.label(end) for end in dict.fromkeys(short.values())])
    where = counting.noun() + "s" * (" " in steps)
    return f"seed{several} {seeds} left out, which end{'' if several else 's'} at {where} {steps}"


def _listed(words: list[str]) -> str:
    """`1, 2 and 3`, or the first three and how many more."""
    if len(words) > 4:
        words = [*words[:3], f"{len(words) - 3} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"
