"""Writing a container: one HDF5 file of named arrays that exists whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from phasescope.store.contents import SCHEMA, Scalar, attributes_of, digest_of_contents, fixed_length, plain
from phasescope.store.files import replacing
from phasescope.store.sink import Writing, writing_hdf5

_CHUNK_BYTES = 1 << 20
_WRITTEN_AT_ONCE = 1 << 23
"""Bytes: a disk that fills is noticed before much more is kept in memory."""


@dataclass(frozen=True)
class Entry:
    """One array to store: any numeric dtype, or an array of strings."""

    data: NDArray[Any]
    attrs: Mapping[str, Scalar] = field(default_factory=dict)
    encoding: str = "array"


@dataclass
class _Held:
    """Rows of one array that follow each other."""

    first: int
    total: int
    attrs: Mapping[str, Scalar]
    rows: list[NDArray[Any]] = field(default_factory=list)

    @property
    def last(self) -> int:
        """The row after them."""
        return self.first + sum(map(len, self.rows))


@dataclass
class Writer:
    """A container being written: arrays whole, or row by row so that memory does not grow with them."""

    _writing: Writing
    digest: str = ""
    """The digest of the contents; known once the container is closed."""
    _held: dict[str, _Held] = field(default_factory=dict)
    """Rows that were appended and wait for more: HDF5 takes as long for a few as for a whole chunk."""
    _attrs: dict[str, dict[str, Scalar]] = field(default_factory=dict)
    """What was written of each group and array: reading it back for the digest costs as much as writing it."""

    @property
    def _file(self) -> h5py.File:
        return self._writing.file

    def put(self, name: str, entry: Entry) -> None:
        """Write one whole array; slashes in its name make groups."""
        data, encoding = np.asarray(entry.data, order="C"), entry.encoding
        if data.dtype.kind == "U":
            # Fixed-length UTF-8: every tool reads it, and the checksum covers the characters.
            encoded = np.char.encode(data, "utf-8")
            data = encoded.astype(h5py.string_dtype("utf-8", max(encoded.dtype.itemsize, 1)))
            encoding = "strings"
        self._writing(lambda: self._put(name, data, encoding, entry.attrs))

    def append(self, name: str, rows: NDArray[Any], first: int, total: int, attrs: Mapping[str, Scalar]) -> None:
        """Write `rows` of an array of `total` rows, from row `first` on; the first call creates the array.

        Rows that do not fit the type of the array (float16 overflows) widen the whole array to theirs. Up to a mebibyte
        of them may wait in memory for those that follow.
        """
        held = self._held.get(name)
        if held is not None and (first != held.last or rows.dtype != held.rows[0].dtype):
            self._let_go(name)
            held = None
        if held is None:
            held = self._held[name] = _Held(first, total, attrs)
        held.rows.append(np.array(rows, order="C"))
        if held.last >= total or sum(some.nbytes for some in held.rows) >= _CHUNK_BYTES:
            self._let_go(name)

    def remove(self, name: str) -> None:
        """Take an array out again, as if it had not been written; nothing happens where there is none."""
        self._held.pop(name, None)
        self._writing(lambda: self._remove(name))

    def mark(self, kind: str, attrs: Mapping[str, Scalar]) -> None:
        """Say of the whole file what it is; its digest is still to come."""
        for name in list(self._held):
            self._let_go(name)
        self._writing(lambda: self._mark("/", self._file, kind, {"schema": SCHEMA, **attrs}))

    def close(self) -> None:
        """Take the digest of everything."""
        for name in list(self._held):
            self._let_go(name)
        self._writing(self._close)

    def go_on(self) -> None:
        """Learn what is in the file already."""
        self._writing(self._learn)

    def _let_go(self, name: str) -> None:
        """Write the rows that wait."""
        held = self._held.pop(name)
        rows = held.rows[0] if len(held.rows) == 1 else np.concatenate(held.rows)
        self._writing(lambda: self._append(name, rows, held.first, held.total, held.attrs))

    def _remove(self, name: str) -> None:
        if name in self._file:
            del self._file[name]
            del self._attrs[name]

    def _put(self, name: str, data: NDArray[Any], encoding: str, attrs: Mapping[str, Scalar]) -> None:
        dataset = self._create(name, data.shape, data.dtype, encoding, attrs)
        if data.ndim:
            self._fill(dataset, data, 0)
        else:
            dataset[()] = data

    def _append(self, name: str, rows: NDArray[Any], first: int, total: int, attrs: Mapping[str, Scalar]) -> None:
        if name not in self._file:
            self._create(name, (total, *rows.shape[1:]), rows.dtype, "array", attrs)
        elif np.promote_types(self._file[name].dtype, rows.dtype) != self._file[name].dtype:
            before = self._file[name][...]
            del self._file[name]
            self._fill(self._create(name, before.shape, rows.dtype, "array", attrs), before, 0)
        self._fill(self._file[name], rows, first)

    def _fill(self, dataset: h5py.Dataset, rows: NDArray[Any], first: int) -> None:
        chunk = dataset.chunks[0] if dataset.chunks else 1
        step = max(_WRITTEN_AT_ONCE // max(rows[:1].nbytes, 1) // chunk, 1) * chunk
        for begin in range(0, len(rows), step):
            some = rows[begin : begin + step]
            dataset[first + begin : first + begin + len(some)] = some
            self._writing.check()

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
            _attach(target, key, value)
        self._attrs[name] = {key: plain(value) for key, value in written.items()}

    def _learn(self) -> None:
        def learn(name: str, thing: h5py.HLObject) -> None:
            self._attrs[name] = attributes_of(thing)

        learn("/", self._file)
        self._file.visititems(learn)

    def _close(self) -> None:
        self.digest = digest_of_contents(self._file, lambda name, thing: self._attrs[name])
        self._file.attrs.create("digest", fixed_length(self.digest))
        self._file.flush()


def _attach(target: h5py.HLObject, key: str, value: Scalar) -> None:
    """A new attribute. As `attrs.create`, which looks for an old one and makes it under another name first."""
    data = np.asarray(fixed_length(value))
    kind = h5py.h5t.py_create(data.dtype, logical=True)
    made = h5py.h5a.create(target.id, key.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    made.write(data, mtype=kind)


@contextmanager
def new_container(path: Path, kind: str, attrs: Mapping[str, Scalar]) -> Iterator[Writer]:
    """A container of the given kind that gets its name when the block ends well, and does not exist before.

    Every dataset carries a Fletcher-32 checksum, the file a BLAKE2b digest of names, types, shapes, attributes and
    bytes. No time stamps are kept, so the same contents give the same digest anywhere.

    Raises `PhasescopeError` where the disk does not take it.
    """
    with replacing(path) as temporary, writing_hdf5(temporary) as writing:
        writer = Writer(writing)
        yield writer
        writer.mark(kind, attrs)
        writer.close()


@contextmanager
def waiting_container(path: Path, kind: str, attrs: Mapping[str, Scalar]) -> Iterator[Writer]:
    """As `new_container`, of what something is still to be added to: it has no digest, and no name in a run."""
    with replacing(path) as temporary, writing_hdf5(temporary) as writing:
        writer = Writer(writing)
        yield writer
        writer.mark(kind, attrs)


@contextmanager
def completed_container(waiting: Path, path: Path) -> Iterator[Writer]:
    """Add to a copy of a container that waits, which is removed once the whole one has its name; else it waits on.

    A kill at any instant leaves it as it waited, or the whole one beside it.

    Raises `PhasescopeError` where the disk does not take it.
    """
    with replacing(path) as temporary:
        shutil.copyfile(waiting, temporary)
        with writing_hdf5(temporary, new=False) as writing:
            writer = Writer(writing)
            writer.go_on()
            yield writer
            writer.close()
    waiting.unlink()


def write_container(path: Path, kind: str, entries: Mapping[str, Entry], attrs: Mapping[str, Scalar]) -> str:
    """Write `entries` as a container, atomically; return the digest of its contents."""
    with new_container(path, kind, attrs) as writer:
        for name in sorted(entries):
            writer.put(name, entries[name])
    return writer.digest
