"""Files of a run on their way between machines that do not see the same folder."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py

from phasescope.store.files import replacing
from phasescope.store.folder import RunFolder
from phasescope.store.opening import opened


def part_of(path: Path, *groups: str) -> bytes:
    """A container with all attributes of one, its digest among them, and of its arrays only those of some groups.

    It is what the whole is to whoever reads these; it is not what its digest says, and nobody is to keep it.
    """
    held = io.BytesIO()
    with opened(path) as whole, h5py.File(held, "w") as part:
        for name, value in whole.attrs.items():
            part.attrs.create(name, value, dtype=whole.attrs.get_id(name).dtype)
        for name in groups:
            if name in whole:
                whole.copy(name, part, name)
    return held.getvalue()


def parcel_of(folder: RunFolder, paths: Iterable[Path], groups: Sequence[str]) -> dict[str, bytes]:
    """Of those of some files that are there, their places in the run and what lies in these groups."""
    there = [path for path in paths if path.is_file()]
    return {path.relative_to(folder.path).as_posix(): part_of(path, *groups) for path in there}


def receive(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file of which the bytes come one after another, whole or not at all."""
    with replacing(path) as temporary, temporary.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
