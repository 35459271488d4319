"""What to say of a file that cannot be read: that it is damaged only where its contents were read and do not fit."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phasescope.errors import DamagedError, PhasescopeError

_ERRNO = re.compile(r"errno = (\d+)")
_OPEN_HERE = ("match", "not the same", "already open for read")


class MisplacedError(DamagedError):
    """A file is whole, but it is not what its place in the run says."""


def damaged(path: Path, why: object) -> DamagedError:
    return DamagedError(
        f"{path} is damaged ({why}). Delete that file and run the same capture again: only it is made anew."
    )


def is_open_here(error: BaseException) -> bool:
    """Whether HDF5 refuses a file because this process has it open in another way."""
    return any(said in str(error) for said in _OPEN_HERE)


def unreadable(path: Path, error: BaseException, what: str = "") -> PhasescopeError:
    """The sentence for what Python or HDF5 said of a file; what: the part of it that was read."""
    # HDF5 has the errno in its message only.
    found = _ERRNO.search(str(error))
    code = getattr(error, "errno", None) or (int(found[1]) if found else None)
    if code in (errno.EACCES, errno.EPERM):
        return PhasescopeError(f"{path} may not be read: {os.strerror(code)}. Ask its owner for the right to read it.")
    if code in (errno.ENOENT, errno.ENOTDIR):
        return PhasescopeError(f"There is no file {path}.")
    if code:
        return PhasescopeError(f"{path} cannot be read now: {os.strerror(code)}. It may be whole: try again.")
    if isinstance(error, MemoryError):
        return PhasescopeError(f"There is not enough memory to read {what or 'all'} of {path}, which may be whole.")
    if "already open for write" in str(error):
        return PhasescopeError(
            f"{path} is being written by another program, or one was stopped while it wrote. Wait until that is done; "
            f"if none writes, h5clear -s {path} (of the HDF5 tools) opens it again."
        )
    if is_open_here(error):
        return PhasescopeError(f"{path} is open for writing in this very process. Close it there first.")
    return damaged(path, f"{what}: {error}" if what else error)


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Say in one sentence what goes wrong while HDF5 reads a file; h5py has no common error for damaged metadata."""
    try:
        yield
    except PhasescopeError:
        raise
    except Exception as error:
        raise unreadable(path, error, what) from error
