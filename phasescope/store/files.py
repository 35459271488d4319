"""Files that exist whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError

TEMPORARY = ".tmp-"
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`; when the block ends well the file is flushed to disk and takes its name.

    A kill at any instant leaves the old file (or none) and perhaps a temporary one, never half a file.
    A full disk raises `PhasescopeError`; the temporary file is removed on any failure.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
        _flush(path.parent)
    except BaseException as error:
        with suppress(OSError):  # there may be no folder to hold it
            temporary.unlink()
        if explained := _explained(error, path):
            raise explained from error
        raise


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _explained(error: BaseException, path: Path) -> PhasescopeError | None:
    # HDF5 raises RuntimeError when closing fails, and has the errno in its message only.
    if getattr(error, "errno", None) in _NO_SPACE or any(f"errno = {code}," in str(error) for code in _NO_SPACE):
        return PhasescopeError(
            f"There is no space left to write {path}. Free some and run the same command again: "
            "nothing already captured is lost."
        )
    if isinstance(error, PermissionError):
        return PhasescopeError(f"{path} may not be written: {error.strerror}. Choose another folder.")
    if isinstance(error, OSError):
        return PhasescopeError(f"{path} could not be written: {error}")
    return None


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
