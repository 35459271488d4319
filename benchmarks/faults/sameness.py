"""Whether two files, or two runs, hold the same; read without phasescope, which is what is examined."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

UNLIKE = {"created", "updated", "seconds", "digest"}
"""What no two manifests have in common: when they were made, and so their digests."""
NOT_COMPARED = {".lock", "digests.json"}
"""A lock, and a cache of what files had which digest at what time."""


def contents(path: Path) -> Any:
    """What a file holds, apart from how it is laid out."""
    if path.suffix == ".h5":
        return _hdf5(path)
    if path.suffix == ".parquet":
        return _table(path)
    if path.suffix == ".json":
        return json.loads(path.read_text())
    return hashlib.sha256(path.read_bytes()).hexdigest()


def of_folder(folder: Path) -> dict[str, Any]:
    """What a run or a suite holds, by the names of its files."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name not in NOT_COMPARED:
            held = contents(path)
            if path.name == "run.json":
                held = {key: value for key, value in held.items() if key not in UNLIKE}
                held["checkpoints"] = sorted(map(str, held["checkpoints"]))
            found[path.relative_to(folder).as_posix()] = held
    return found


def differences(folder: Path, expected: dict[str, Any]) -> list[str]:
    """Names of files that one has and the other has not, or that hold something else."""
    try:
        found = of_folder(folder)
    except Exception as error:  # whatever a reader makes of a damaged file
        return [f"unreadable: {type(error).__name__}: {error}"]
    return sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))


def _hdf5(path: Path) -> Any:
    import h5py

    with h5py.File(path, "r", locking=False) as file:
        found: dict[str, Any] = {"/": _attrs(file)}

        def add(group: Any, under: str) -> None:
            for name in group:
                link, place = group.get(name, getlink=True), f"{under}/{name}"
                if not isinstance(link, h5py.HardLink):
                    found[place] = (type(link).__name__, link.path, getattr(link, "filename", ""))
                    continue
                thing = group[name]
                found[place] = [_attrs(thing)]
                if isinstance(thing, h5py.Dataset):
                    data = thing[...]
                    found[place] += [str(data.dtype), data.shape, hashlib.sha256(data.tobytes()).hexdigest()]
                else:
                    add(thing, place)

        add(file, "")
        return found


def _attrs(thing: Any) -> dict[str, str]:
    return {key: repr(value) for key, value in thing.attrs.items()}


def _table(path: Path) -> Any:
    import pandas as pd

    table = pd.read_parquet(path)
    return [table.to_json(orient="split", double_precision=15), list(map(str, table.dtypes)), table.attrs]
