"""Opening a container: what it is, whether it is what its place in the run says, whether it is of what is there now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import h5py

from phasescope.errors import PhasescopeError
from phasescope.store.container import Container
from phasescope.store.contents import SCHEMA, has_variable_length
from phasescope.store.guard import require_sound
from phasescope.store.places import Place, place_of, shard_path
from phasescope.store.trouble import MisplacedError, damaged, is_open_here, reading, unreadable


@contextmanager
def open_container(path: Path, kind: str) -> Iterator[Container]:
    """Open a container of the given kind for reading; what is wrong with it raises `PhasescopeError`.

    In a run it must be what its place says, and of the files that are there: else `MisplacedError`.
    """
    with opened(path) as file:
        place = place_of(path)
        container = Container(path, file, is_old(path, file), place)
        _require_kind(container, kind)
        if place is not None:
            _require_its_place(container, place)
            _require_origin(container, place)
        yield container


def kept_digest(path: Path) -> str:
    """The digest that a container keeps of itself, if any. Raises for a wrong place as `open_container` does."""
    with opened(path) as file:
        place = place_of(path)
        container = Container(path, file, is_old(path, file), place)
        if place is not None:
            _require_its_place(container, place)
        return container.digest


def opened(path: Path) -> h5py.File:
    """An HDF5 file for reading. What the system, or HDF5, says against it raises `PhasescopeError`."""
    try:
        with path.open("rb"):  # What the system says of a file is clearer than what HDF5 says.
            pass
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if is_open_here(error):
            try:  # A notebook's own h5py.File, say: another driver does not mind it.
                return h5py.File(path, "r", driver="stdio")
            except OSError:
                pass
        raise unreadable(path, error) from error
    except Exception as error:
        raise unreadable(path, error) from error


def is_old(path: Path, file: h5py.File) -> bool:
    """Whether it is of format version 1; then it is known that reading its attributes comes to an end."""
    with reading(path):
        old = "encoding" in file.attrs and has_variable_length(file, "encoding")
    if old:
        require_sound(path)
    return old


def _require_kind(container: Container, kind: str) -> None:
    path, attrs = container.path, container.attrs
    found, schema = attrs.get("encoding"), attrs.get("schema", 0)
    if found != kind:
        raise PhasescopeError(f"{path} is not a phasescope {kind} file (its encoding is {found!r}).")
    if not isinstance(schema, int):
        raise damaged(path, f"its format version is {schema!r}")
    if schema > SCHEMA:
        raise PhasescopeError(
            f"{path} was written in format version {schema}, and this phasescope reads up to {SCHEMA}. "
            "Update phasescope: pip install -U phasescope."
        )


def _require_its_place(container: Container, place: Place) -> None:
    if wrong := "; ".join(place.wrong(container.attrs)):
        raise MisplacedError(
            f"{container.path} is not what belongs there: {wrong}. Put the right file in its place, or move it away "
            "and run the same capture again: only it is made anew."
        )


def _require_origin(container: Container, place: Place) -> None:
    """Raise `MisplacedError` for what was made of other shards, or of other items, than are there."""
    with reading(container.path):
        origin = list(_origin(container, place))
    for source, digest in origin:
        found = _digest_now(source)
        if found != digest:
            what = "is gone" if found is None else "has other contents now"
            again = "visit the run" if place.kind == "scores" else "run the same capture, or the same comparison,"
            raise MisplacedError(
                f"{container.path} was made from {source}, which {what}. Restore that file, or {again} again."
            )


def _origin(container: Container, place: Place) -> Iterator[tuple[Path, str]]:
    """What a file was made from, and the digest that this had."""
    attrs = container.attrs
    if place.kind == "scores":
        yield container.path.parents[2] / "items.h5", str(attrs["items"])
        return
    if place.kind not in ("cohort", "comparison of steps", "comparison of sizes"):
        return
    size = str(place.says.get("size", ""))
    seed, step = (int(place.says.get(name, 0)) for name in ("seed", "step"))
    if place.kind == "cohort":
        shards = [(size, int(one), step) for one in container.read("seeds")]
    elif place.kind == "comparison of sizes":
        shards = [(str(one), seed, step) for one in container.read("sizes")]
    else:
        others = (attrs.get("last_step"), attrs.get("previous_step"))
        shards = [(size, seed, int(one)) for one in (step, *others) if one is not None]
    kept = str(attrs["shards"]).split()
    if len(kept) != len(shards):
        raise damaged(container.path, f"it names {len(kept)} shards, and is of {len(shards)}")
    for (of_size, of_seed, of_step), digest in zip(shards, kept, strict=True):
        yield shard_path(place.run, of_size, of_seed, of_step), digest


def _digest_now(path: Path) -> str | None:
    """What a shard keeps as its digest, a set of items as its hash; None where there is no such file."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return _digest_of(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 14)
def _digest_of(path: Path, inode: int, size: int, time: int) -> str:
    """inode, size, time: of the file, which tell whether it is still the same."""
    if path.name == "items.h5":
        with open_container(path, "items") as items:
            return str(items.attrs["hash"])
    return kept_digest(path)
