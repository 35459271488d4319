"""What is taken from single shards, kept under the digest of what it was made from.

A table is put together from such parts, so that one more checkpoint costs its own share of an analysis and not all of
it. They are found by what they are of, never by their place: a shard that changed, a final state that is another one,
or other options have no part, and what has none is made.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store.opening import open_container
from phasescope.store.writer import Entry, write_container

_NOTHING = int(np.iinfo(np.int64).min)
Part = Mapping[str, NDArray[Any]]
"""Arrays by name; their first axes may be of any length, the others are alike in all parts of one file."""


def origin_of(*what: object) -> str:
    """The digest of all that a part depends on: digests of shards, options, the version of the code that makes it."""
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


def parts_of(path: Path, origins: Sequence[str], make: Callable[[list[int]], Iterator[Part]]) -> list[Part]:
    """The parts of these origins, in order: those that a file has of them, and others made and kept there.

    make: gives the parts in those places of `origins`, in that order.

    A file that is damaged, or is not what its digest says, is told of and made anew.
    """
    kept = read_parts(path)
    missing = [place for place, origin in enumerate(origins) if origin not in kept]
    for place, part in zip(missing, make(missing) if missing else (), strict=True):
        kept[origins[place]] = part
    found = [kept[origin] for origin in origins]
    if origins and (missing or len(kept) > len(set(origins))):
        write_parts(path, dict(zip(origins, found, strict=True)))
    return found


def rows_as_part(rows: Sequence[Sequence[Any]], columns: Mapping[str, str]) -> Part:
    """Rows of a table with these columns and types; only an `Int64` may be None."""
    each = list(zip(*rows, strict=True)) or [()] * len(columns)
    return {
        name: np.array([_NOTHING if value is None else value for value in column], dtype=kind.lower())
        for (name, kind), column in zip(columns.items(), each, strict=True)
    }


def rows_of(part: Part, columns: Mapping[str, str]) -> list[tuple[Any, ...]]:
    """The rows that a part was made of."""
    each = [
        [None if kind == "Int64" and value == _NOTHING else value for value in part[name].tolist()]
        for name, kind in columns.items()
    ]
    return list(zip(*each, strict=True))


def read_parts(path: Path) -> dict[str, Part]:
    """All that a file has, by origin; nothing, and a warning, where it cannot be used."""
    if not path.is_file():
        return {}
    try:
        with open_container(path, "parts") as kept:
            if kept.recompute_digest() != kept.digest:
                raise PhasescopeError(f"{path} changed after it was written.")
            arrays = {name: kept.read(name) for name in kept.names()}
        origins = arrays.pop("origins").tolist()
        ends = {name.removeprefix("ends/"): arrays.pop(name) for name in list(arrays) if name.startswith("ends/")}
        split = {name: np.split(arrays[name], ends[name][:-1]) for name in arrays}
        return {origin: {name: split[name][place] for name in split} for place, origin in enumerate(origins)}
    except (PhasescopeError, KeyError, ValueError, IndexError) as error:
        said = f"{path}, which saves analyses time, cannot be used and is made anew: {error}"
        warnings.warn(said, PhasescopeWarning, stacklevel=3)
        return {}


def write_parts(path: Path, parts: Mapping[str, Part]) -> None:
    """At least one part, by origin, and nothing else: what the file had before is gone."""
    first = next(iter(parts.values()))
    entries = {"origins": Entry(np.array(list(parts), dtype=str))}
    for name in first:
        arrays = [part[name] for part in parts.values()]
        entries[name] = Entry(np.concatenate(arrays))
        entries[f"ends/{name}"] = Entry(np.cumsum([len(array) for array in arrays]))
    write_container(path, "parts", entries, {})
