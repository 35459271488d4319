"""One HDF5 file of named arrays, written whole or not at all, checked when read.

Shards, cohorts and frozen inputs are containers of different kinds. Plain HDF5 filters only, so that h5dump,
MATLAB and R read them without plugins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasescope.errors import PhasescopeError
from phasescope.store.files import replacing

SCHEMA = 1
Scalar = str | int | float | bool
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """One array to store: any numeric dtype, or an array of strings."""

    data: NDArray[Any]
    attrs: Mapping[str, Scalar] = field(default_factory=dict)
    encoding: str = "array"


@dataclass
class Writer:
    """A container being written: arrays whole, or row by row so that memory does not grow with them."""

    _file: h5py.File
    digest: str = ""
    """The digest of the contents; known once the container is closed."""
    _attrs: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    """What was written of each group and array: reading it back for the digest costs as much as writing it."""

    def put(self, name: str, entry: Entry) -> None:
        """Write one whole array; slashes in its name make groups."""
        data, encoding = np.asarray(entry.data, order="C"), entry.encoding
        if data.dtype.kind == "U":
            # Fixed-length UTF-8: every tool reads it, and the checksum covers the characters.
            encoded = np.char.encode(data, "utf-8")
            data = encoded.astype(h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1)))
            encoding = "strings"
        dataset = self._create(name, data.shape, data.dtype, encoding, entry.attrs)
        dataset[...] = data

    def append(self, name: str, rows: NDArray[Any], first: int, total: int, attrs: Mapping[str, Scalar]) -> None:
        """Write `rows` of an array of `total` rows, from row `first` on; the first call creates the array.

        Rows that do not fit the type of the array (float16 overflows) widen the whole array to theirs.
        """
        if name not in self._file:
            self._create(name, (total, *rows.shape[1:]), rows.dtype, "array", attrs)
        elif np.promote_types(self._file[name].dtype, rows.dtype) != self._file[name].dtype:
            before = self._file[name][...]
            del self._file[name]
            self._create(name, before.shape, rows.dtype, "array", attrs)[...] = before
        self._file[name][first : first + len(rows)] = rows

    def _create(
        self, name: str, shape: tuple[int, ...], dtype: Any, encoding: str, attrs: Mapping[str, Scalar]
    ) -> h5py.Dataset:
        parts = name.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            group = "/".join(parts[:depth])
            if group not in self._attrs:
                self._mark(group, self._file.create_group(group), "group", {})
        if shape and np.prod(shape):
            row = np.dtype(dtype).itemsize * int(np.prod(shape[1:]))
            rows = min(max(_CHUNK_BYTES // row, 1), shape[0])
            dataset = self._file.create_dataset(
                name, shape=shape, dtype=dtype, chunks=(rows, *shape[1:]), fletcher32=True
            )
        else:  # HDF5 checksums chunks only, and neither a scalar nor an empty array has any
            dataset = self._file.create_dataset(name, shape=shape, dtype=dtype)
        self._mark(name, dataset, encoding, attrs)
        return dataset

    def _mark(self, name: str, target: h5py.HLObject, encoding: str, attrs: Mapping[str, Scalar]) -> None:
        written = {"encoding": encoding, "encoding_version": "1", **attrs}
        for key, value in written.items():
            target.attrs.create(key, value)
        self._attrs[name] = {key: _plain(value) for key, value in written.items()}

    def close(self, kind: str, attrs: Mapping[str, Scalar]) -> None:
        """Mark the whole file, digest last."""
        self._mark("/", self._file, kind, {"schema": SCHEMA, **attrs})
        self.digest = _digest(self._file, self._attrs)
        self._file.attrs["digest"] = self.digest
        self._file.flush()


@contextmanager
def new_container(path: Path, kind: str, attrs: Mapping[str, Scalar], *, in_memory: bool = False) -> Iterator[Writer]:
    """A container of the given kind that gets its name when the block ends well, and does not exist before.

    Every dataset carries a Fletcher-32 checksum, the file a BLAKE2b digest of names, types, shapes, attributes and
    bytes. No time stamps are kept, so the same contents give the same digest anywhere.

    in_memory: whether the container is made in memory and then written in one go. HDF5 does not survive a disk that
        fills while it writes: it keeps the file open and brings the process down later. A process that is to go on
        pays for that with memory.
    """
    with replacing(path) as temporary:
        driver: dict[str, Any] = {"driver": "core", "backing_store": False} if in_memory else {}
        with h5py.File(temporary, "w", libver=("v110", "v110"), **driver) as file:
            writer = Writer(file)
            yield writer
            writer.close(kind, attrs)
            image = file.id.get_file_image() if in_memory else b""
        if in_memory:
            temporary.write_bytes(image)


def write_container(path: Path, kind: str, entries: Mapping[str, Entry], attrs: Mapping[str, Scalar]) -> str:
    """Write `entries` as a container, atomically; return the digest of its contents."""
    with new_container(path, kind, attrs, in_memory=True) as writer:
        for name in sorted(entries):
            writer.put(name, entries[name])
    return writer.digest


def _digest(file: h5py.File, known: Mapping[str, Mapping[str, Scalar]] | None = None) -> str:
    """Of everything in the file; `known`: the attributes by name, for one who has just written them."""
    total = hashlib.blake2b(digest_size=16)

    def add(name: str, thing: h5py.HLObject) -> None:
        attrs = known[name] if known else {k: _plain(v) for k, v in thing.attrs.items() if k != "digest"}
        total.update(json.dumps([name, attrs], sort_keys=True).encode())
        if isinstance(thing, h5py.Dataset):
            total.update(json.dumps([str(thing.dtype), thing.shape]).encode())
            for block in thing.iter_chunks() if thing.chunks else [()]:
                total.update(np.ascontiguousarray(thing[block]).tobytes())

    add("/", file)
    file.visititems(add)
    return total.hexdigest()


def _plain(value: Any) -> Scalar:
    if isinstance(value, np.generic):
        return value.item()  # type: ignore[no-any-return]
    return value if isinstance(value, str | int | float | bool) else str(value)


@dataclass(frozen=True)
class Container:
    """An open container: its attributes, the names of its arrays, and the arrays on demand."""

    path: Path
    _file: h5py.File

    @property
    def attrs(self) -> dict[str, Scalar]:
        return {key: _plain(value) for key, value in self._file.attrs.items()}

    @property
    def digest(self) -> str:
        """The digest kept when the file was written."""
        return str(self.attrs.get("digest", ""))

    def names(self, under: str = "") -> list[str]:
        """Names of all arrays, or of those in the group `under`."""
        group = self._file.get(under) if under else self._file
        found: list[str] = []
        if isinstance(group, h5py.Group):
            # Of a large shard only the group that is asked for is looked through.
            group.visititems(lambda name, thing: found.append(name) if isinstance(thing, h5py.Dataset) else None)
        return [f"{under}/{name}" if under else name for name in found]

    def attrs_of(self, name: str) -> dict[str, Scalar]:
        """Attributes of one array."""
        return {key: _plain(value) for key, value in self._dataset(name).attrs.items()}

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one array, without reading it."""
        return tuple(self._dataset(name).shape)

    def read(self, name: str, rows: slice | None = None) -> NDArray[Any]:
        """One array, or some of its rows; a checksum that does not fit raises `PhasescopeError`."""
        dataset = self._dataset(name)
        try:
            data: NDArray[Any] = dataset[...] if rows is None else dataset[rows]
        except OSError as error:
            raise damaged(self.path, f"{name}: {error}") from error
        if data.dtype.kind == "S":
            return np.char.decode(data, "utf-8")
        return data

    def recompute_digest(self) -> str:
        """The digest of what is in the file now; every byte is read."""
        try:
            return _digest(self._file)
        except (OSError, RuntimeError) as error:
            raise damaged(self.path, str(error)) from error

    def _dataset(self, name: str) -> h5py.Dataset:
        try:
            if name in self._file:
                return self._file[name]
        except (OSError, RuntimeError, KeyError) as error:  # h5py has no common error for damaged metadata
            raise damaged(self.path, f"{name}: {error}") from error
        raise PhasescopeError(f"{self.path} holds no {name}. It holds: {', '.join(self.names()) or 'nothing'}.")


def damaged(path: Path, why: str) -> PhasescopeError:
    return PhasescopeError(
        f"{path} is damaged ({why}). Delete that file and run the same capture again: only it is made anew."
    )


@contextmanager
def open_container(path: Path, kind: str) -> Iterator[Container]:
    """Open a container of the given kind for reading; what is wrong with it raises `PhasescopeError`."""
    if not path.is_file():
        raise PhasescopeError(f"There is no file {path}.")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise damaged(path, str(error)) from error
    with file:
        found, schema = file.attrs.get("encoding"), int(file.attrs.get("schema", 0))
        if found != kind:
            raise PhasescopeError(f"{path} is not a phasescope {kind} file (its encoding is {found!r}).")
        if schema > SCHEMA:
            raise PhasescopeError(
                f"{path} was written in format version {schema}, and this phasescope reads up to {SCHEMA}. "
                "Update phasescope: pip install -U phasescope."
            )
        yield Container(path, file)
