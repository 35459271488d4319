"""A container as it is read: one HDF5 file of named arrays, checked when it is opened and when it is read.

Shards, cohorts and frozen inputs are containers of different kinds. Plain HDF5 filters only, so that h5dump, MATLAB and
R read them without plugins. What may have come from somebody else is not believed: a file is held against its place in
the run, links out of it are not followed, and no more is allocated than it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasescope.errors import PhasescopeError
from phasescope.store.contents import Scalar, attributes_of, digest_of_contents, links_of
from phasescope.store.places import Place
from phasescope.store.trouble import damaged, reading

_UNCOMPRESSED = {h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_SHUFFLE}
_MOST_COMPRESSED = 1032
"""No deflated block holds more than so many times its own bytes."""


class Attributes(dict[str, Scalar]):
    """Attributes of a file or array. One that is not there, though it should be, raises `PhasescopeError`."""

    def __init__(self, path: Path, name: str, found: dict[str, Scalar]) -> None:
        super().__init__(found)
        self._of = (path, name)

    def __missing__(self, key: str) -> Scalar:
        path, name = self._of
        raise damaged(path, f"{name} has no attribute {key}")


@dataclass(frozen=True)
class Container:
    """An open container: its attributes, the names of its arrays, and the arrays on demand."""

    path: Path
    _file: h5py.File
    _old: bool = False
    """Whether it is of format version 1, whose attributes are of variable length."""
    _place: Place | None = None
    # What was looked up once: finding, checking and asking an array takes longer than reading a small one.
    _groups: dict[str, h5py.Group] = field(default_factory=dict)
    _found: dict[str, h5py.Dataset] = field(default_factory=dict)
    _checked: set[str] = field(default_factory=set)
    _told: dict[str, Attributes] = field(default_factory=dict)

    @cached_property
    def attrs(self) -> Attributes:
        return self._attributes("/", self._file)

    @property
    def digest(self) -> str:
        """The digest kept when the file was written."""
        return str(self.attrs.get("digest", ""))

    def names(self, under: str = "") -> list[str]:
        """Names of all arrays, or of those in the group `under`."""
        found: list[str] = []
        with reading(self.path, under):
            group = self._inside(under) if under else self._file
            if isinstance(group, h5py.Group):
                # Of a large shard only the group that is asked for is looked through.
                group.visititems(lambda name, thing: found.append(name) if isinstance(thing, h5py.Dataset) else None)
        return [f"{under}/{name}" if under else name for name in found]

    def attrs_of(self, name: str) -> Attributes:
        """Attributes of one array."""
        if name not in self._told:
            self._told[name] = self._attributes(name, self._named(name))
        return self._told[name]

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one array, without reading it."""
        return tuple(self._dataset(name).shape)

    def read(self, name: str, rows: slice | None = None) -> NDArray[Any]:
        """One array, or some of its rows; a checksum that does not fit raises `PhasescopeError`."""
        dataset = self._dataset(name)
        with reading(self.path, name):
            data: NDArray[Any] = dataset[...] if rows is None else dataset[rows]
            return np.char.decode(data, "utf-8") if data.dtype.kind == "S" else data

    def recompute_digest(self, beat: Callable[[], object] = lambda: None) -> str:
        """The digest of what is in the file now; every byte is read. beat: called after every block."""
        with reading(self.path):
            return digest_of_contents(self._file, self._attributes, self._check, beat)

    def _attributes(self, name: str, thing: h5py.HLObject) -> Attributes:
        with reading(self.path, name):
            return Attributes(self.path, name, attributes_of(thing, variable=self._old))

    def _dataset(self, name: str) -> h5py.Dataset:
        found = self._named(name)
        if name not in self._checked:
            with reading(self.path, name):
                self._check(name, found)
            self._checked.add(name)
        return found

    def _named(self, name: str) -> h5py.Dataset:
        if name not in self._found:
            with reading(self.path, name):
                found = self._inside(name)
            if not isinstance(found, h5py.Dataset):
                raise PhasescopeError(f"{self.path} holds no {name}. It holds: {', '.join(self.names()) or 'nothing'}.")
            self._found[name] = found
        return self._found[name]

    def _inside(self, name: str) -> h5py.HLObject | None:
        """What has that name in this file itself; None for nothing. Links to elsewhere are refused."""
        group, _, last = name.rpartition("/")
        if group and group not in self._groups:
            found = self._inside(group)
            if not isinstance(found, h5py.Group):
                return None
            self._groups[group] = found
        here = self._groups[group] if group else self._file
        if not here.id.links.exists(last.encode()):
            return None
        if here.id.links.get_info(last.encode()).type != h5py.h5l.TYPE_HARD:
            raise self._foreign(name)
        return here[last]

    def _check(self, name: str, thing: h5py.HLObject) -> None:
        """Refuse an array that is not in this file, that cannot be what it says, or a group with links elsewhere."""
        if not isinstance(thing, h5py.Dataset):
            if any(not isinstance(link, h5py.HardLink) for _, link in links_of(thing)):
                raise self._foreign(name)
            return
        made = thing.id.get_create_plist()
        if thing.is_virtual or made.get_external_count():
            raise self._foreign(name)
        if thing.dtype.kind not in "biufS":
            raise damaged(self.path, f"{name} is of the type {thing.dtype}")
        if self._place is not None and (misfit := self._place.misfit(name, thing.shape)):
            raise damaged(self.path, misfit)
        filters = {made.get_filter(number)[0] for number in range(made.get_nfilters())}
        stored = thing.id.get_storage_size() * (1 if filters <= _UNCOMPRESSED else _MOST_COMPRESSED)
        if thing.size * thing.dtype.itemsize > stored:
            size = " × ".join(map(str, thing.shape))
            raise damaged(self.path, f"{name} claims to be {size} numbers, and less than that is in the file")

    def _foreign(self, name: str) -> PhasescopeError:
        return PhasescopeError(
            f"{self.path} points to other files for {name}, which phasescope neither writes nor follows. Do not use "
            "that file: run the same capture again without it, or ask where it came from."
        )
