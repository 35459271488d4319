"""The tables of similarity, put together from what each checkpoint told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.analyses.similarity.across import between_seeds, between_sizes
from phasescope.analyses.similarity.columns import COMPARED, MAPS, MEANS, RELATIONS, SIMILARITY
from phasescope.analyses.similarity.comparing import comparable
from phasescope.analyses.similarity.maps import map_rows
from phasescope.analyses.similarity.within import within
from phasescope.store import Part, rows_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

_ABSENT = "No activations of features were captured: choose some --sites, such as resid_post."
_CURVE = ["size", "seed", "site", "relation", "other_size", "other_seed", "measure"]


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `similarity`, `similarity_means` and `similarity_maps`; empty where no activations were kept."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    sums: dict[tuple[Any, ...], list[Any]] = {}
    for key, part in _parts(reader, options):
        rows += rows_of(part, COMPARED)
        _add(sums, key, part)
    made = {
        "similarity": _with_first(as_table(rows, COMPARED), _CURVE, SIMILARITY),
        "similarity_means": _with_first(_means(sums, options), ["size", "seed", "relation", "measure"], MEANS),
        "similarity_maps": as_table(list(map_rows(reader, options)), MAPS),
    }
    for table in made.values():
        if not rows:
            table.attrs["absent"] = _ABSENT
    return made


def _parts(reader: RunReader, options: Options) -> Iterator[tuple[ShardKey, Part]]:
    there = [one for one in reader.trajectories() if comparable(reader.sites(one[2][-1]))]
    for _, _, keys in there:
        yield from within(reader, keys, options)
    for size in dict.fromkeys(size for size, _, _ in there):
        yield from between_seeds(reader, size, options)
    yield from between_sizes(reader, options)


def _add(sums: dict[tuple[Any, ...], list[Any]], key: ShardKey, part: Part) -> None:
    """Sums of sites that were compared in other rounds, put together."""
    columns = [part[f"sum_{name}"] for name in ("seed", "relation", "measure")]
    numbers = [part[f"sum_{name}"] for name in ("compared", "value", "shuffled", "replicates")]
    for number, (seed, relation, measure) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        more = [column[number] for column in numbers]
        known = sums.setdefault((key.size, seed, key.step, relation, measure), [0, 0.0, 0.0, np.zeros(len(more[3]))])
        for place, value in enumerate(more):
            known[place] = known[place] + value


def _means(sums: dict[tuple[Any, ...], list[Any]], options: Options) -> DataFrame:
    """Intervals of the means are of the means in each resample: what sites err by, they err by together."""
    import torch

    from phasescope.measures import interval

    rows = []
    for where, (compared, value, shuffled, replicates) in sums.items():
        mean = torch.tensor(value / compared, dtype=torch.float64)
        low, high = interval(torch.from_numpy(replicates / compared), mean, options.level)
        rows.append((*where, float(mean), float(low), float(high), shuffled / compared, compared, options.level))
    made: DataFrame = as_table(rows, {name: kind for name, kind in MEANS.items() if name != "first"})
    return made


def _with_first(table: DataFrame, curve: list[str], columns: dict[str, str]) -> DataFrame:
    """With what each curve says at its first step, in the order of training."""
    order = {name: place for place, name in enumerate(RELATIONS)}
    table = table.assign(place=table["relation"].map(order)).sort_values(["place", "step"], kind="stable")
    sizes = {size: place for place, size in enumerate(dict.fromkeys(table["size"]))}
    table = table.sort_values("size", key=lambda column: column.map(sizes), kind="stable")
    first = table.groupby(curve, sort=False)["value"].transform(lambda values: values.iloc[0])
    made: DataFrame = table.assign(first=first)[list(columns)].reset_index(drop=True).astype(columns)
    return made
