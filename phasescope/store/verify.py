"""Re-read every byte of a run and say what does not fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError
from phasescope.store import guard
from phasescope.store.evaluations import read_evaluations
from phasescope.store.files import read_json
from phasescope.store.folder import RunFolder
from phasescope.store.index import index_problem
from phasescope.store.manifests import manifest_problem
from phasescope.store.missing import missing_shards
from phasescope.store.opening import open_container
from phasescope.store.places import place_of
from phasescope.store.tables import read_table
from phasescope.store.trouble import damaged, unreadable

_HDF5, _PARQUET = b"\x89HDF\r\n\x1a\n", b"PAR1"


@dataclass(frozen=True)
class Finding:
    """One file, and what is wrong with it ("" if nothing is)."""

    path: Path
    problem: str = ""


def verify(folder: RunFolder, *, quick: bool = False) -> Iterator[Finding]:
    """Yield a finding for every file of the run, after reading all of it.

    quick: read no more of a file than how it begins and ends, which finds those that are cut short, in seconds.

    Raises `PhasescopeError` for a manifest that cannot be read: nothing says what the run is.
    """
    manifest = _manifest(folder)
    yield Finding(folder.manifest, manifest_problem(folder.manifest, manifest))
    files = [folder.inputs, *folder.containers()]
    files += [folder.index] if folder.index.exists() else []
    files += sorted((folder.path / "results").rglob("*.parquet"))
    files += [folder.evaluations] if folder.evaluations.exists() else []
    for path in files:
        yield Finding(path, length_problem(path) if quick else _checked(path))
    yield from _missing(folder, manifest)


def problem_of(path: Path, beat: Callable[[], object] = lambda: None) -> str:
    """What is wrong with a file of a run, all of which is read; empty if nothing is. beat: called now and then."""
    try:
        if path.name == "run.h5":
            return index_problem(RunFolder(path.parent))
        if path.name == "evaluations.parquet":
            read_evaluations(RunFolder(path.parent))
        elif path.suffix == ".parquet":
            read_table(path)
        else:
            place = place_of(path)
            with open_container(path, (place.kind if place else "shard").split(" ")[0]) as container:
                if container.recompute_digest(beat) != container.digest:
                    return (
                        f"The contents of {path} changed after it was written: its digest does not fit. "
                        "Delete that file and run the same capture again: only it is made anew."
                    )
    except PhasescopeError as error:
        return str(error)
    return ""


def length_problem(path: Path) -> str:
    """Why a file cannot be whole, by its first bytes and its length; empty if it may be."""
    try:
        with path.open("rb") as file:
            begin, length = file.read(48), os.fstat(file.fileno()).st_size
            file.seek(max(length - len(_PARQUET), 0))
            end = file.read()
    except OSError as error:
        return str(unreadable(path, error))
    if path.suffix == ".parquet":
        whole = begin.startswith(_PARQUET) and end == _PARQUET
        return "" if whole else str(damaged(path, "it does not begin and end as a table does"))
    # Where the superblock says how long the file is, in each version of it that phasescope has written.
    place = {0: 40, 2: 28, 3: 28}.get(begin[8]) if begin.startswith(_HDF5) and len(begin) == 48 else None
    if place is None:
        return str(damaged(path, "it does not begin as HDF5 files do"))
    said = int.from_bytes(begin[place : place + 8], "little")
    return "" if said == length else str(damaged(path, f"it is {length} bytes long, and says that it is {said}"))


def _manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest with its digest."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What there is to tell is a finding.
        folder.read_manifest()
    manifest: dict[str, Any] = read_json(folder.manifest)
    return manifest


def _checked(path: Path) -> str:
    """Damage may end a process, or keep it for ever: so another one reads."""
    try:
        return guard.GUARD.ask("verify", path)
    except PhasescopeError as error:
        return str(error)


def _missing(folder: RunFolder, manifest: dict[str, Any]) -> Iterator[Finding]:
    for path in folder.lost_items():
        yield Finding(path, f"{path} is gone, and there are scores of its items. Restore it, or remove its folder.")
    try:
        missing = missing_shards(folder, manifest)
    except PhasescopeError:
        return  # The index cannot be read, which was said of it.
    for key in missing.all:
        there = "was there and is gone" if key in missing.lost else "was asked for and is not there"
        yield Finding(
            folder.shard(key), f"The shard of {key.label} {there}. Run the same capture again: only it is made."
        )


__all__ = ["Finding", "problem_of", "verify"]
