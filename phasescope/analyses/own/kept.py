"""Tables of measures of one's own, in the run under their names, with the digest of what they were made from."""

from __future__ import annotations

import hashlib
import inspect
import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean
from phasescope.store import read_table, write_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.own.asked import Asked
    from phasescope.analyses.reader import RunReader
    from phasescope.plugins import Measure
    from phasescope.store import RunFolder

MEASURED = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "int64", "component": "str",
    "head": "Int64", "other": "Int64", "quantity": "str", "value": "float64", "low": "float64", "high": "float64",
    "level": "float64", "samples": "int64", "reason": "str",
}  # fmt: skip
_REMEDY = "Delete it and measure again (run.map, phasescope map)."


def require_name(name: str) -> None:
    """Raise `BadArgumentError` for the name of a table of phasescope's own."""
    from phasescope.analyses.registry import tables_there_are

    if name in tables_there_are():
        raise BadArgumentError(
            f'{name} is a table of phasescope\'s own: give the measure another name, name="my_{name}", say.'
        )


def digest_of(reader: RunReader, measure: Measure, asked: Asked, sites: dict[str, list[str]]) -> str:
    """Of the function's source, what it is asked for, and what it reads."""
    told = {
        "source": source_of(measure.function),
        "asked": [str(asked.steps), asked.pairs, asked.resamples, asked.level, asked.seed, measure.units],
        "sites": sites,
        "made_from": reader.fingerprint(),
    }
    return hashlib.blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=16).hexdigest()


def source_of(function: Any) -> str:
    """The source of a function, with the plain values that it closes over and its defaults; else its code.

    What it calls is not part of it.
    """
    function = inspect.unwrap(function)
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = repr((code.co_code, code.co_consts, code.co_names)) if code else repr(type(function))
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held = [*cells, *(getattr(function, "__defaults__", None) or ()), getattr(function, "__kwdefaults__", None)]
    held += [getattr(function, "args", None), getattr(function, "keywords", None)]  # of a partial one
    return text + repr([value for value in held if isinstance(value, str | int | float | tuple)])


def keep(reader: RunReader, measure: Measure, package: str, table: DataFrame, digest: str) -> DataFrame:
    """Write the table into the run."""
    reader.require_there()
    table.attrs |= {"name": full_name(measure.name, package), "digest": digest, "made_from": reader.fingerprint()}
    table.attrs |= {"about": measure.about, **({"suspect": reader.suspects_note} if reader.suspects else {})}
    write_table(path_of(reader.folder, full_name(measure.name, package)), table)
    return table


def kept_as_asked(reader: RunReader, name: str, package: str, digest: str) -> DataFrame | None:
    """The table that was kept under a name, if it was made by the same function from the same."""
    path = path_of(reader.folder, full_name(name, package))
    if not path.is_file():
        return None
    table = read_table(path, _REMEDY)
    return table if table.attrs.get("digest") == digest else None


def measured_names(folder: RunFolder) -> list[str]:
    """The measures of one's own that a run keeps tables of: `spread`, and of packages `package:spread`."""
    return sorted(path.stem.replace(".", ":") for path in _room(folder).glob("*.parquet"))


def measured_table(reader: RunReader, name: str) -> DataFrame:
    """The table of a measure by its name (of a package's, with or without `package:`).

    Raises `PhasescopeError` where none is kept, with the nearest, or where it was made of other shards.
    """
    names = measured_names(reader.folder)
    found = [one for one in names if name in (one, one.rpartition(":")[2])]
    found = [one for one in found if one == name] or found
    if not found:
        raise BadArgumentError(
            f"{reader.folder.path} keeps no measure {name!r}: run.map (or phasescope map) makes it. "
            f"{did_you_mean(name, names)}"
        )
    if len(found) > 1:
        raise BadArgumentError(f"{name} is kept of several packages: {' and '.join(found)}. Name one of these.")
    table = read_table(path_of(reader.folder, found[0]), _REMEDY)
    if table.attrs.get("made_from") != reader.fingerprint():
        raise PhasescopeError(f"{found[0]} was measured of other shards than are there now: measure it again.")
    return table


def full_name(name: str, package: str) -> str:
    return f"{package}:{name}" if package else name


def path_of(folder: RunFolder, name: str) -> Path:
    """Where the table of a measure is."""
    return _room(folder) / f"{name.replace(':', '.')}.parquet"


def _room(folder: RunFolder) -> Path:
    return folder.made / "results" / "own"
