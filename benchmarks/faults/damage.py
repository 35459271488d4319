"""Ways in which a file comes to harm. Each takes the file and dice, and tells what it did."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

Way = Callable[[Path, Random], str]


def _in_bytes(change: Callable[[bytearray, Random], str]) -> Way:
    def way(path: Path, dice: Random) -> str:
        raw = bytearray(path.read_bytes())
        told = change(raw, dice)
        path.write_bytes(raw)
        return told

    return way


def _bit(raw: bytearray, dice: Random) -> str:
    return _flip(raw, dice, dice.randrange(len(raw)))


def _early_bit(raw: bytearray, dice: Random) -> str:
    # Where HDF5 has its superblock and first headers, and Parquet its first pages.
    return _flip(raw, dice, dice.randrange(min(len(raw), 2048)))


def _late_bit(raw: bytearray, dice: Random) -> str:
    return _flip(raw, dice, len(raw) - 1 - dice.randrange(min(len(raw), 1024)))


def _flip(raw: bytearray, dice: Random, at: int) -> str:
    bit = dice.randrange(8)
    raw[at] ^= 1 << bit
    return f"bit {bit} of byte {at}"


def _bytes(raw: bytearray, dice: Random) -> str:
    places = [dice.randrange(len(raw)) for _ in range(dice.choice((1, 8)))]
    for at in places:
        raw[at] = dice.randrange(256)
    return f"bytes {places}"


def _header(raw: bytearray, dice: Random) -> str:
    """A bit of the metadata of HDF5, that a random place in a file of arrays seldom meets."""
    marks = [b"OHDR", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"FADB", b"FAHD", b"EAHD", b"GCOL", b"OCHK", b"PAR1", b'"']
    mark = dice.choice([mark for mark in marks if mark in raw] or [bytes(raw[:1])])
    places = [at for at in range(len(raw)) if raw.startswith(mark, at)]
    return _flip(raw, dice, min(dice.choice(places) + dice.randrange(64), len(raw) - 1))


def _cut(raw: bytearray, dice: Random) -> str:
    length = dice.randrange(len(raw)) if dice.random() < 0.5 else len(raw) - dice.randint(1, min(64, len(raw)))
    del raw[length:]
    return f"cut to {length} bytes"


def _longer(raw: bytearray, dice: Random) -> str:
    raw += dice.randbytes(more := dice.choice((1, 512, 70_000)))
    return f"{more} bytes more"


def _block(raw: bytearray, dice: Random) -> tuple[int, int]:
    length = min(dice.choice((16, 64, 512, 4096)), len(raw))
    return dice.randrange(len(raw) - length + 1), length


def _zeroed(raw: bytearray, dice: Random) -> str:
    at, length = _block(raw, dice)
    raw[at : at + length] = bytes(length)
    return f"zeros at {at}, {length} bytes"


def _garbled(raw: bytearray, dice: Random) -> str:
    at, length = _block(raw, dice)
    raw[at : at + length] = dice.randbytes(length)
    return f"noise at {at}, {length} bytes"


def _moved(raw: bytearray, dice: Random) -> str:
    at, length = _block(raw, dice)
    start = dice.randrange(len(raw) - length + 1)
    raw[at : at + length] = raw[start : start + length]
    return f"{length} bytes from {start} again at {at}"


def _empty(raw: bytearray, dice: Random) -> str:
    raw.clear()
    return "emptied"


BYTES: dict[str, Way] = {
    "bit": _in_bytes(_bit),
    "early bit": _in_bytes(_early_bit),
    "late bit": _in_bytes(_late_bit),
    "header bit": _in_bytes(_header),
    "bytes": _in_bytes(_bytes),
    "cut": _in_bytes(_cut),
    "longer": _in_bytes(_longer),
    "zeroed": _in_bytes(_zeroed),
    "garbled": _in_bytes(_garbled),
    "moved": _in_bytes(_moved),
    "empty": _in_bytes(_empty),
}


def misplaced(siblings: Sequence[Path], other: Path) -> dict[str, Way]:
    """Ways in which whole files lie in the wrong place.

    siblings: other files of the kind. other: the file of that name in a run with other texts.
    """

    def swapped(path: Path, dice: Random) -> str:
        sibling = dice.choice(siblings)
        here, there = path.read_bytes(), sibling.read_bytes()
        path.write_bytes(there)
        sibling.write_bytes(here)
        return f"swapped with {sibling}"

    def overwritten(path: Path, dice: Random) -> str:
        sibling = dice.choice(siblings)
        shutil.copyfile(sibling, path)
        return f"a copy of {sibling}"

    def foreign(path: Path, dice: Random) -> str:
        shutil.copyfile(other, path)
        return "from another run"

    ways = {"swapped": swapped, "overwritten": overwritten} if siblings else {}
    return ways | ({"foreign": foreign} if other.is_file() else {})


def _missing(path: Path, dice: Random) -> str:
    path.unlink()
    return "removed"


def _folder(path: Path, dice: Random) -> str:
    path.unlink()
    path.mkdir()
    return "a folder of that name"


def _dangling(path: Path, dice: Random) -> str:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))
    return "a link to nothing"


GONE: dict[str, Way] = {"missing": _missing, "folder": _folder, "dangling": _dangling}


def _datasets(file: Any) -> list[str]:
    import h5py

    found: list[str] = []
    file.visititems(lambda name, thing: found.append(name) if isinstance(thing, h5py.Dataset) else None)
    return found


def _in_hdf5(change: Callable[[Any, str, Random], str]) -> Way:
    def way(path: Path, dice: Random) -> str:
        import h5py

        with h5py.File(path, "r+", locking=False) as file:
            return change(file, dice.choice(_datasets(file)), dice)

    return way


def _value(file: Any, name: str, dice: Random) -> str:
    import numpy as np

    data = file[name][...]
    if data.dtype.kind not in "iuf" or not data.size:
        del file[name]
        return f"{name} removed"
    place = np.unravel_index(dice.randrange(data.size), data.shape)
    data[place] = 1 if data[place] != 1 else 2
    file[name][...] = data
    return f"{name}{list(map(int, place))} changed"


def _attribute(file: Any, name: str, dice: Random) -> str:
    target = dice.choice((file, file[name]))
    key = dice.choice(sorted(target.attrs))
    del target.attrs[key]
    what = dice.choice(("removed", 7, "something", -1.5, [1, 2, 3]))
    if what != "removed":
        target.attrs[key] = what
    return f"attribute {key} of {target.name}: {what}"


def _array(file: Any, name: str, dice: Random) -> str:
    what = dice.choice(("removed", "group", "scalar", "text", "narrow"))
    shape = file[name].shape
    del file[name]
    if what == "group":
        file.create_group(name)
    elif what == "scalar":
        file[name] = 3.5
    elif what == "text":
        file[name] = ["one", "two"]
    elif what == "narrow":
        file[name] = [0.0] * max(shape[0] - 1 if shape else 1, 1)
    return f"{name}: {what}"


def _huge(file: Any, name: str, dice: Random) -> str:
    kind, shape = file[name].dtype, file[name].shape
    attrs = dict(file[name].attrs)
    del file[name]
    claimed = (10**6, *(10**6 if n else 1 for n in range(1, len(shape))))
    made = file.create_dataset(name, shape=claimed, dtype=kind, chunks=(1000, *(min(100, c) for c in claimed[1:])))
    made.attrs.update(attrs)
    return f"{name} claims {claimed}"


def _linked(file: Any, name: str, dice: Random) -> str:
    import h5py

    del file[name]
    file[name] = dice.choice((h5py.ExternalLink("/etc/hostname", "/"), h5py.SoftLink("/nowhere")))
    return f"{name} leads out of the file"


HDF5: dict[str, Way] = {
    "value": _in_hdf5(_value),
    "attribute": _in_hdf5(_attribute),
    "array": _in_hdf5(_array),
    "huge": _in_hdf5(_huge),
    "linked": _in_hdf5(_linked),
}


def _json(path: Path, dice: Random) -> str:
    """Another value of the same type, another type, or none, somewhere in a JSON file."""
    whole = json.loads(path.read_text())
    places: list[tuple[Any, Any]] = []

    def walk(thing: Any) -> None:
        for key in thing if isinstance(thing, dict) else range(len(thing)) if isinstance(thing, list) else ():
            places.append((thing, key))
            walk(thing[key])

    walk(whole)
    top = [(whole, key) for key in whole] if isinstance(whole, dict) else []
    holder, key = dice.choice(top if top and dice.random() < 0.5 else places)
    was = holder[key]
    same = {str: "else", bool: not was, int: 3, float: 0.25, list: [], dict: {}}.get(type(was))
    now = dice.choice(("removed", same, same, None, [1], {"a": 1}, "x", -1, 1e300))
    if now == "removed":
        del holder[key]
    else:
        holder[key] = now
    path.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n")
    return f"{key}: {str(was)[:40]} → {str(now)[:40]}"


JSON: dict[str, Way] = {"json": _json}


def _table(path: Path, dice: Random) -> str:
    import pandas as pd

    table = pd.read_parquet(path)
    kept = dict(table.attrs)
    column = dice.choice(list(table.columns))
    what = dice.choice(("value", "row", "column", "type"))
    if what == "value" and len(table):
        numbers = [name for name in table.columns if table[name].dtype.kind == "f"] or [column]
        column = dice.choice(numbers)
        table[column] = [*table[column][:-1], table[column].iloc[0]]
    elif what == "row":
        table = table.iloc[1:]
    elif what == "column":
        table = table.drop(columns=column)
    elif what == "type":
        table[column] = "text"
    table.attrs = kept
    table.to_parquet(path, index=False)
    return f"{what} of {column}"


TABLE: dict[str, Way] = {"table": _table}
