"""How large are the weights, how far have they come, and how straight was their way? (docs/analyses/drift.md)

Norms are exact, from the singular values that every shard has. Distances are exact where matrices were kept
(`--keep-weights`), head by head too; else they are told from the entries that every shard keeps of each matrix
(`phasescope.measures.sampled`), with a standard error. Never is more than one matrix of four checkpoints in memory, and
what a checkpoint adds is found once: it depends on the first and on the two before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table
from phasescope.hooks.sites import CIRCUITS
from phasescope.store import Part, origin_of, parts_of, rows_as_part, rows_of

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Container, ShardKey

    Array = np.ndarray

_WHERE = {"site": "str", "layer": "Int64", "component": "str", "head": "Int64"}
NORMS = {
    "size": "str", "seed": "int64", "step": "int64", **_WHERE, "kind": "str", "frobenius": "float64",
    "nuclear": "float64", "spectral": "float64", "condition": "float64", "stable_rank": "float64",
}  # fmt: skip
# What is of one shard.
_OWN = {name: kind for name, kind in NORMS.items() if name not in ("size", "seed", "step")}
# Goes up when the same shards give other numbers.
_VERSION = 1
DRIFT = {
    "size": "str", "seed": "int64", "step": "int64", **_WHERE, "previous_step": "Int64", "from_start": "float64",
    "low": "float64", "high": "float64", "relative": "float64", "from_previous": "float64", "cosine": "float64",
    "cosine_low": "float64", "cosine_high": "float64", "path_share": "float64", "entries": "int64", "exact": "bool",
    "level": "float64", "reason": "str",
}  # fmt: skip
_WEIGHT = "unit of the weights"


_NUMBERS = ("from_start", "low", "high", "relative", "from_previous", "cosine", "cosine_low", "cosine_high")
# What one checkpoint adds. kept: of whole matrices that were kept, else of sampled entries.
_MOVES = {**_WHERE, "kept": "int64", "entries": "int64", "exact": "int64", **dict.fromkeys(_NUMBERS, "float64")}


@question(
    "How large are the weights, how far have they come, and how straight was their way?",
    [
        Table(
            "norms",
            "Norms, condition number and stable rank of each matrix and circuit, per head where there are heads.",
            NORMS,
            {_WEIGHT: "frobenius nuclear spectral", "largest over smallest": "condition", "dimensions": "stable_rank"},
        ),
        Table(
            "drift",
            "How far each matrix is from the first step and the one before, whether it kept its direction, and the "
            "share of its path that is gone.",
            DRIFT,
            {
                _WEIGHT: "from_start low high from_previous",
                "times the first norm": "relative",
                "cosine": "cosine cosine_low cosine_high",
                "share of the path": "path_share",
            },
        ),
    ],
    place=25,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `norms` and `drift`; empty where no weights were read."""
    reader.require_shards()
    norms: list[tuple[Any, ...]] = []
    drift: list[tuple[Any, ...]] = []
    parts = dict(parts_by_shard(reader, "norms", (_VERSION,), lambda key: _part(reader, key)))
    for size, seed, keys in reader.trajectories():
        norms += [(size, seed, key.step, *row) for key in keys for row in rows_of(parts[key], _OWN)]
        drift += [(size, seed, *row) for row in _drift(reader, keys, options)]
    made = {"norms": as_table(norms, NORMS), "drift": as_table(drift, DRIFT)}
    for table in made.values():
        if not norms:
            table.attrs["absent"] = "No weights were read: models that are read remotely keep theirs on the server."
    return made


def _part(reader: RunReader, key: ShardKey) -> Part:
    with reader.folder.open_shard(key) as shard:
        return rows_as_part(list(_norms(shard)), _OWN)


def _norms(shard: Container) -> Iterator[tuple[Any, ...]]:
    import torch

    from phasescope import measures

    told = (
        measures.frobenius_norm_of,
        measures.nuclear_norm_of,
        measures.spectral_norm_of,
        measures.condition_number_of,
        measures.stable_rank_of,
    )
    for name in shard.names("spectra"):
        attrs = shard.attrs_of(name)
        component = str(attrs["component"])
        values = torch.from_numpy(shard.read(name))
        numbers = np.stack([measure(values).numpy().reshape(-1) for measure in told], -1)
        for head, row in enumerate(numbers.tolist()):
            where = (name.removeprefix("spectra/"), attrs.get("layer"), component, None if values.ndim == 1 else head)
            yield (*where, "circuit" if component in CIRCUITS else "weight", *row)


def _drift(reader: RunReader, keys: list[ShardKey], options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of one training, matrix by matrix: whole matrices where all steps kept them, else their sampled entries."""
    digests = reader.digests(keys)
    origins = [
        origin_of(_VERSION, options.level, [digests[other] for other in _needed(place)]) for place in range(len(keys))
    ]
    path = reader.folder.parts(f"drift/{keys[0].size}/seed{keys[0].seed}")
    each = [
        {(row[0], row[3], row[4]): row for row in rows_of(part, _MOVES)}
        for part in parts_of(path, origins, partial(_moves, reader, keys, options))
    ]
    for site, head, kept in each[0]:
        rows = [found[site, head, kept] for found in each if (site, head, kept) in found]
        if len(rows) == len(keys) and (kept or not all((site, None, 1) in found for found in each)):
            yield from _rows([key.step for key in keys], rows, options)


def _rows(steps: list[int], rows: list[tuple[Any, ...]], options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of one matrix or head."""
    from phasescope.measures import path_share

    moved = len(_WHERE) + 3 + _NUMBERS.index("from_previous")
    lengths = [row[moved] for row in rows[1:]]
    gone = path_share(np.array(lengths)).tolist() if lengths else [np.nan]
    reason = "the matrix never moves" if lengths and not any(lengths) else "" if lengths else "one step alone"
    for number, (step, row) in enumerate(zip(steps, rows, strict=True)):
        *where, _, entries, exact = row[: len(_WHERE) + 3]
        previous = steps[number - 1] if number else None
        numbers = row[len(_WHERE) + 3 :]
        yield (step, *where, previous, *numbers, gone[number], entries, bool(exact), options.level, reason)


def _moves(reader: RunReader, keys: list[ShardKey], options: Options, places: Sequence[int]) -> Iterator[Part]:
    """What the checkpoints in these places add, matrix by matrix."""
    from phasescope.audit.fingerprints import Fingerprints

    with reader.folder.open_shard(keys[0]) as first:
        sites = {name.removeprefix("spectra/"): dict(first.attrs_of(name)) for name in first.names("spectra")}
        heads = {site: first.shape(f"spectra/{site}")[:-1] for site in sites}
    kept, sampled = {}, {}
    for other in sorted({other for place in places for other in _needed(place)}):
        with reader.folder.open_shard(keys[other]) as shard:
            kept[other] = {name.removeprefix("weights/") for name in shard.names("weights")}
            sampled[other] = Fingerprints.read(shard).entries
    rows: dict[int, list[tuple[Any, ...]]] = {place: [] for place in places}
    for site, attrs in sites.items():
        if str(attrs["component"]) in CIRCUITS:
            continue
        where = (site, int(attrs["layer"]) if "layer" in attrs else None, str(attrs["component"]))
        number = int(np.prod(heads[site], dtype=np.int64))
        size = int(attrs["rows"]) * int(attrs["columns"])
        by_head = number > 1 and len(heads[site]) == 1
        states: dict[int, Float64[Array, "heads entries"]] = {}
        for place in places:
            needed = _needed(place)
            states = {other: state for other, state in states.items() if other in needed}
            if all(site in kept[other] for other in needed):
                for other in needed:
                    if other not in states:
                        states[other] = _matrix(reader, keys[other], site, number)
                views = [states[other].reshape(-1) for other in needed]
                rows[place].append((*where, None, 1, *_numbers(views, place, size * number, options.level)))
                for head in range(number if by_head else 0):
                    views = [states[other][head] for other in needed]
                    rows[place].append((*where, head, 1, *_numbers(views, place, size, options.level)))
            if all(site in sampled[other] for other in needed):
                views = [sampled[other][site].astype(np.float64) for other in needed]
                rows[place].append((*where, None, 0, *_numbers(views, place, size * number, options.level)))
    for place in places:
        yield rows_as_part(rows[place], _MOVES)


def _needed(place: int) -> tuple[int, int, int, int]:
    """The first checkpoint, the two before this one, and itself; the first again where there are none."""
    return 0, max(place - 2, 0), max(place - 1, 0), place


def _matrix(reader: RunReader, key: ShardKey, site: str, heads: int) -> Float64[Array, "heads entries"]:
    with reader.folder.open_shard(key) as shard:
        return shard.read(f"weights/{site}").astype(np.float64).reshape(heads, -1)


def _numbers(views: list[Float64[Array, "entries"]], place: int, size: int, level: float) -> tuple[float, ...]:
    """Entries, whether they are all, and `_NUMBERS`, of the states that are `_needed`."""
    from phasescope.measures import cosine, sampled_distance

    start, earlier, before, now = views
    exact, wide = len(now) == size, _wide(level)
    distance, error = (float(value) for value in sampled_distance(now, start, size))
    length = float(sampled_distance(start, np.zeros_like(start), size)[0])
    gone = float(sampled_distance(now, before, size)[0]) if place else np.nan
    turn = float(cosine(now - before, before - earlier)) if place > 1 else np.nan
    doubt = 0.0 if exact else (1 - turn**2) / np.sqrt(len(now))
    return (
        *(len(now), exact, distance, max(0.0, distance - wide * error), distance + wide * error),
        distance / length if length else np.nan,
        *(gone, turn, max(-1.0, turn - wide * doubt) if turn == turn else np.nan),
        min(1.0, turn + wide * doubt) if turn == turn else np.nan,
    )


@lru_cache
def _wide(level: float) -> float:
    """How many standard errors lie on either side."""
    from scipy.stats import norm

    return float(norm.ppf((1 + level) / 2))
