"""What is in an HDF5 file of ours: attributes as plain values, and the digest of everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import h5py
import numpy as np

SCHEMA = 2
Scalar = str | int | float | bool


def plain(value: Any) -> Scalar:
    """A value of an attribute as Python has it."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str | int | float | bool) else str(value)


def fixed_length(value: Scalar) -> Any:
    """A value as it is written into an attribute: strings with their length, so that they lie in the object's header.

    HDF5 keeps strings of variable length in a heap that has no checksum, and damage there makes it spin for ever.
    """
    if not isinstance(value, str):
        return value
    encoded = value.encode("utf-8", "surrogateescape")
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(len(encoded), 1)))


def has_variable_length(thing: h5py.HLObject, key: str) -> bool:
    """Whether an attribute is kept in a heap, as those of format version 1 are. Its value is not read."""
    return bool(thing.attrs.get_id(key).dtype.kind == "O")


def attributes_of(thing: h5py.HLObject, *, variable: bool = False) -> dict[str, Scalar]:
    """All attributes of a file, group or array.

    variable: whether they may have a variable length.

    Raises ValueError for one that may not, and whatever h5py raises where they are damaged.
    """
    found, attrs = {}, thing.attrs  # h5py makes it anew each time that it is asked for.
    for key in attrs:
        kept = attrs.get_id(key)
        of = kept.get_type()
        if of.dtype.kind != "O":
            # Nearly all are single values: to ask HDF5 for each one's shape would take as long as to read it.
            single = kept.get_storage_size() == of.get_size()
            value = np.zeros(() if single else kept.shape, of.dtype)
            kept.read(value, of)
            found[key] = plain(value[()])
        elif variable:
            found[key] = plain(attrs[key])
        else:
            raise ValueError(f"the attribute {key} has a variable length")
    return found


def digest_of_contents(
    file: h5py.File,
    attributes: Callable[[str, h5py.HLObject], Mapping[str, Scalar]],
    check: Callable[[str, h5py.HLObject], object] = lambda name, thing: None,
    beat: Callable[[], object] = lambda: None,
) -> str:
    """BLAKE2b of everything in the file but the attribute `digest`: names, attributes, types, shapes, bytes.

    attributes: of a group or array by name.
    check: is called with every group and array before it is read, and may refuse it.
    beat: is called after every block that was read.
    """
    total = hashlib.blake2b(digest_size=16)

    def add(name: str, thing: h5py.HLObject) -> None:
        check(name, thing)
        attrs = {key: value for key, value in attributes(name, thing).items() if key != "digest"}
        total.update(json.dumps([name, attrs], sort_keys=True).encode())
        if isinstance(thing, h5py.Dataset):
            total.update(json.dumps([str(thing.dtype), thing.shape]).encode())
            for block in thing.iter_chunks() if thing.chunks else [()]:
                total.update(np.ascontiguousarray(thing[block]).tobytes())
                beat()
        beat()

    add("/", file)
    file.visititems(add)
    return total.hexdigest()


def links_of(group: h5py.Group) -> Iterator[tuple[str, Any]]:
    """Names and links of a group, without following any."""
    for name in group:
        yield name, group.get(name, getlink=True)
