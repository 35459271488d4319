"""What can go wrong for a user: one clear sentence that names the thing, the place and the remedy."""

from __future__ import annotations

import difflib
import errno
import importlib.util
from collections.abc import Iterable

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a disk, somebody's share of it, or what a file may hold, is full."""


class PhasescopeError(Exception):
    """The work cannot be done. The message is one sentence that names the thing, the place and the remedy."""


class BadArgumentError(PhasescopeError):
    """What was asked for is nothing that there is, whatever the run or suite: the terminal's exit status is 2."""


class BadCheckpointError(PhasescopeError):
    """One checkpoint cannot be read (truncated, missing tensors, NaN): record it, go on with the others."""


class DamagedError(PhasescopeError):
    """A file is not what was written there: nothing that reads it can go on as if it had not been there."""


class MissingLibraryError(PhasescopeError):
    """What was asked for needs a library that is not installed: what else was asked for may go on."""


class PhasescopeWarning(UserWarning):
    """Something a user should know that does not stop the work."""


def require_library(module: str, extra: str, what: str) -> None:
    """Raise `MissingLibraryError` where a library of one of phasescope's extras is not installed.

    what: that needs it, as the sentence begins.
    """
    if importlib.util.find_spec(module) is None:
        raise MissingLibraryError(
            f"{what} needs {module}, which is not installed: pip install 'phasescope[{extra}]' (or phasescope[all])."
        )


def did_you_mean(name: object, choices: Iterable[object]) -> str:
    """A remedy for an unknown name: the nearest choice if one is near, and what there is.

    >>> did_you_mean("mlp_uot", ["attn_out", "mlp_out"])
    'Did you mean mlp_out? There are: attn_out, mlp_out.'
    """
    known = [str(choice) for choice in choices]
    if not known:
        return "There are none."
    near = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    shown = ", ".join(known[:30]) + (f", … ({len(known)} in all)" if len(known) > 30 else "")
    return (f"Did you mean {near[0]}? " if near else "") + f"There are: {shown}."


def nearest_number(wanted: int, choices: Iterable[int]) -> str:
    """A remedy for an unknown step or seed: the nearest there is.

    >>> nearest_number(500, [0, 256, 512])
    'The nearest is 512. There are: 0, 256, 512.'
    """
    known = sorted(choices)
    if not known:
        return "There are none."
    near = min(known, key=lambda choice: (abs(choice - wanted), choice))
    shown = ", ".join(map(str, known[:40])) + (f", … ({len(known)} in all)" if len(known) > 40 else "")
    return f"The nearest is {near}. There are: {shown}."
