"""Which contents the files of a run have, so that what was computed from them is known in any copy of the run."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.store.files import read_json, write_json
from phasescope.store.folder import RunFolder
from phasescope.store.opening import kept_digest
from phasescope.store.places import beginning
from phasescope.store.trouble import unreadable


def digests(folder: RunFolder, paths: Iterable[Path], keep: bool = True) -> dict[str, str]:
    """The digest of each file, by its name in the run.

    Of a container it is the one that was kept when it was written (`phasescope verify` holds the contents against it),
    of another file that of its bytes. What was read is kept in `results/digests.json` with size and time of the file,
    as opening thousands of shards takes seconds; where nothing can be written they are read again.
    keep: False writes nothing.
    """
    known, run = _read(folder.digests), beginning(folder.path)
    found: dict[str, tuple[int, int, str]] = {}
    for path in paths:
        name, stat = path.as_posix().removeprefix(run), _stat(path)
        size, time, digest = known.get(name, (-1, -1, ""))
        if (size, time) != (stat.st_size, stat.st_mtime_ns):
            digest = _digest(path)
        found[name] = (stat.st_size, stat.st_mtime_ns, digest)
    if keep and any(known.get(name) != kept for name, kept in found.items()):
        _write(folder.digests, known | found)
    return {name: digest for name, (_, _, digest) in found.items()}


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise unreadable(path, error) from error


def _digest(path: Path) -> str:
    # No HDF5, damaged, or in the place of another, whose results are not its own: its bytes tell.
    with suppress(PhasescopeError):
        if path.suffix == ".h5" and (kept := kept_digest(path)):
            return kept
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise unreadable(path, error) from error


def _read(path: Path) -> dict[str, tuple[int, int, str]]:
    try:
        kept = read_json(path)
        return {str(name): (int(size), int(time), str(digest)) for name, (size, time, digest) in kept.items()}
    except (PhasescopeError, ValueError, TypeError, AttributeError):
        return {}  # not there, or damaged: it is made anew


def _write(path: Path, known: dict[str, tuple[int, int, str]]) -> None:
    with suppress(OSError, PhasescopeError):  # a run that may only be read
        write_json(path, known)
