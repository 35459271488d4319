"""Files that exist whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import NO_SPACE, PhasescopeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEMPORARY = ".tmp-"
# Libraries written in Rust have the system's number in their words only.
_IN_WORDS = re.compile(r"\(os error (\d+)\)")
Identity = tuple[int, int]
"""Which folder one is, as the disk has it, whatever its name."""
_written_into: dict[Path, Identity] = {}
"""The folders that this process is the sole writer of, or writes into for that one."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; when the block ends well the file is flushed to disk and takes its name.

    A kill at any instant leaves the old file (or none) and perhaps a temporary one, never half a file.
    A full disk raises `PhasescopeError`; the temporary file is removed on any failure.
    """
    # Of a run that several machines write, no two processes have the same.
    temporary = path.with_name(f".{path.name}{TEMPORARY}{platform.node()}-{os.getpid()}")
    try:
        require_folder_of(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        flush(temporary)
        os.replace(temporary, path)
        flush(path.parent)
    except BaseException as error:
        with suppress(OSError):  # there may be no folder to hold it
            temporary.unlink()
        if sentence := explained(error, path):
            raise sentence from error
        raise


def flush(path: Path) -> None:
    """Make sure that a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left half-written in and below a folder of ours."""
    for leftover in list(folder.rglob(f".*{TEMPORARY}*")):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


def remove_empty(folder: Path) -> None:
    """Remove a folder of ours and those in it, as far as there is no file in them."""
    for inside in sorted(folder.rglob("*"), reverse=True):
        if inside.is_dir():
            with suppress(OSError):
                inside.rmdir()
    with suppress(OSError):
        folder.rmdir()


@contextmanager
def sole_writer(folder: Path, who: str, instead: str, wait: float = 0.0) -> Iterator[None]:
    """The right to write into a folder, which is made if need be. A second writer at the same time is refused.

    It is refused after so many seconds of waiting for the first one to be done.

    Where the folder is deleted or moved meanwhile, `PhasescopeError` says so at the next file that it lacks, or that is
    to be written: it is not made anew.

    The lock goes with the process: a killed one leaves none behind. `who` writes and what to choose `instead` are
    words for the sentence of the `PhasescopeError`.
    """
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        lock.acquire(timeout=wait)
    except Timeout as error:
        raise PhasescopeError(
            f"Another {who} is writing into {folder}. Wait until it is done, or choose another {instead}."
        ) from error
    except OSError as error:
        raise PhasescopeError(f"{folder} cannot be written: {error.strerror}. Choose another {instead}.") from error
    try:
        _written_into[folder] = identity_of(folder)
        yield
    except (PhasescopeError, OSError) as error:
        require_folder_of(folder, error)
        raise
    finally:
        _written_into.pop(folder, None)
        lock.release()


def remove_own(folder: Path) -> None:
    """Remove a folder that this process is the sole writer of."""
    _written_into.pop(folder, None)
    shutil.rmtree(folder, ignore_errors=True)


def require_folder_of(path: Path, cause: BaseException | None = None) -> None:
    """Raise `PhasescopeError` if a folder that this process is writing into, and that `path` is in, is gone."""
    for folder, identity in _written_into.items():
        if path.is_relative_to(folder) and identity_of(folder) != identity:
            raise PhasescopeError(
                f"{folder} was deleted or moved while it was being written. If it was moved, put it back and run the "
                "same command again: it goes on from what is there; else it begins anew."
            ) from cause


@contextmanager
def writing_for(folder: Path, identity: Identity) -> Iterator[None]:
    """Write into a folder for its sole writer, which may be another process: never into another folder of that name.

    identity: as that one found it.
    """
    before = _written_into.get(folder)
    _written_into[folder] = identity
    try:
        yield
    finally:
        if before is None:
            del _written_into[folder]
        else:
            _written_into[folder] = before


def identity_of(folder: Path) -> Identity:
    """Which folder has that name now."""
    try:
        stat = folder.stat()
    except OSError:
        return (-1, -1)
    return (stat.st_dev, stat.st_ino)


def explained(error: BaseException, path: Path) -> PhasescopeError | None:
    """What the system says against writing a file, in one sentence; None for what it did not say."""
    if _number(error) in NO_SPACE:
        return PhasescopeError(
            f"There is no space left to write {path}. Free some and run the same command again: "
            "nothing already written is lost."
        )
    if isinstance(error, PermissionError):
        return PhasescopeError(f"{path} may not be written: {error.strerror}. Choose another folder.")
    if isinstance(error, OSError):
        return PhasescopeError(f"{path} could not be written: {error}")
    return None


def _number(error: BaseException) -> int | None:
    """What the system calls an error, whichever library tells of it."""
    number: int | None = getattr(error, "errno", None)
    words = _IN_WORDS.search(str(error))
    return number or (int(words[1]) if words else None)


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an array as .npy, whole or not at all.

    Not by `numpy.save`: of an array that fits into the C library's buffer it does not see that the disk is full.
    """
    import numpy as np

    held = np.ascontiguousarray(array)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(held))
        file.write(held.data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file; damage raises `PhasescopeError`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise PhasescopeError(f"{path} is damaged ({error}). Restore it from a copy.") from error
    except OSError as error:
        raise PhasescopeError(f"{path} cannot be read: {error.strerror}.") from error
