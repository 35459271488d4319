"""How large are the weights, how far have they come, and how straight was their way? (docs/analyses/drift.md)

Norms are exact, from the singular values that every shard has. Distances are exact where matrices were kept
(`--keep-weights`), head by head too; else they are told from the entries that every shard keeps of each matrix
(`phasescope.measures.sampled`), with a standard error. Never is more than one matrix of four checkpoints in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import Part, parts_by_shard, rows_as_part, rows_of
from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table
from phasescope.hooks.sites import CIRCUITS

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


@dataclass(frozen=True)
class _Place:
    """A matrix, or one head of it, and how many entries it has in all."""

    site: str
    layer: int | None
    component: str
    head: int | None
    size: int


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
    from phasescope.audit.fingerprints import Fingerprints

    with reader.folder.open_shard(keys[0]) as first:
        sites = {name.removeprefix("spectra/"): dict(first.attrs_of(name)) for name in first.names("spectra")}
        heads = {site: first.shape(f"spectra/{site}") for site in sites}
    kept, sampled = set(sites), []
    for key in keys:
        with reader.folder.open_shard(key) as shard:
            kept &= {name.removeprefix("weights/") for name in shard.names("weights")}
            sampled.append(Fingerprints.read(shard).entries)
    for site, attrs in sites.items():
        if str(attrs["component"]) in CIRCUITS:
            continue
        heads_of = int(np.prod(heads[site][:-1], dtype=np.int64))
        per_head = int(attrs["rows"]) * int(attrs["columns"])
        layer = int(attrs["layer"]) if "layer" in attrs else None
        whole = _Place(site, layer, str(attrs["component"]), None, per_head * heads_of)
        if site in kept:
            states = (_matrix(reader, key, site, heads_of) for key in keys)
            parts = [whole]
            if heads_of > 1 and len(heads[site]) == 2:
                parts += [_Place(site, whole.layer, whole.component, head, per_head) for head in range(heads_of)]
        elif all(site in entries for entries in sampled):
            states, parts = (entries[site][None].astype(np.float64) for entries in sampled), [whole]
        else:
            continue
        yield from _rows(parts, [key.step for key in keys], states, options)


def _matrix(reader: RunReader, key: ShardKey, site: str, heads: int) -> Float64[Array, "heads entries"]:
    with reader.folder.open_shard(key) as shard:
        return shard.read(f"weights/{site}").astype(np.float64).reshape(heads, -1)


@dataclass
class _Part:
    """What is found of one place, step by step."""

    place: _Place
    exact: bool
    entries: int
    numbers: list[tuple[float, ...]]
    moves: list[float]


def _rows(
    places: list[_Place], steps: list[int], states: Iterator[Float64[Array, "heads entries"]], options: Options
) -> Iterator[tuple[Any, ...]]:
    """Rows of one matrix and its heads; of all states the first, the last two and the move between are held."""
    from phasescope.measures import path_share

    parts: list[_Part] = []
    start: list[Float64[Array, "entries"]] = []
    before = start
    move: list[Float64[Array, "entries"]] = []
    for state in states:
        views = [state.reshape(-1), *(state if len(places) > 1 else [])]
        if not start:
            parts = [
                _Part(place, len(view) == place.size, len(view), [], [])
                for place, view in zip(places, views, strict=True)
            ]
            start = before = views
        moves = [now - last for now, last in zip(views, before, strict=True)]
        for number, part in enumerate(parts):
            last_move = move[number] if move else None
            part.numbers.append(_numbers(part, start[number], views[number], moves[number], last_move, options))
            part.moves.append(part.numbers[-1][4])
        before, move = views, moves if len(parts[0].moves) > 1 else []
    for part in parts:
        gone = path_share(np.array(part.moves[1:])).tolist() if len(steps) > 1 else [np.nan]
        for number, (step, row) in enumerate(zip(steps, part.numbers, strict=True)):
            place, previous = part.place, steps[number - 1] if number else None
            from_previous = row[4] if number else np.nan
            reason = "" if len(steps) > 1 else "one step alone"
            reason = "the matrix never moves" if len(steps) > 1 and not any(part.moves[1:]) else reason
            yield (
                *(step, place.site, place.layer, place.component, place.head, previous, *row[:4], from_previous),
                *(*row[5:], gone[number], part.entries, part.exact, options.level, reason),
            )


def _numbers(
    part: _Part,
    start: Float64[Array, "entries"],
    now: Float64[Array, "entries"],
    move: Float64[Array, "entries"],
    last_move: Float64[Array, "entries"] | None,
    options: Options,
) -> tuple[float, ...]:
    """(from_start, low, high, relative, from_previous, cosine, low, high)."""
    from scipy.stats import norm

    from phasescope.measures import cosine, sampled_distance

    wide = float(norm.ppf((1 + options.level) / 2))
    size = part.place.size
    distance, error = (float(value) for value in sampled_distance(now, start, size))
    length = float(sampled_distance(start, np.zeros_like(start), size)[0])
    gone = float(sampled_distance(now, now - move, size)[0])
    turn = np.nan if last_move is None else float(cosine(move, last_move))
    doubt = 0.0 if part.exact else (1 - turn**2) / np.sqrt(part.entries)
    return (
        *(distance, max(0.0, distance - wide * error), distance + wide * error),
        distance / length if length else np.nan,
        *(gone, turn, max(-1.0, turn - wide * doubt) if turn == turn else np.nan),
        min(1.0, turn + wide * doubt) if turn == turn else np.nan,
    )
