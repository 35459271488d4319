"""How a report comes to lie on the disk."""

from __future__ import annotations

from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.store import replacing


def write_whole(path: Path, text: str, run: Path) -> None:
    """Write the report of a run, whole or not at all.

    Raises `PhasescopeError` where it cannot be written, or would begin anew a run that was deleted meanwhile.
    """
    if path.is_relative_to(run) and not run.is_dir():
        raise PhasescopeError(
            f"{run} was deleted or moved while its report was made. Write the report elsewhere: --out."
        )
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except PhasescopeError as error:
        why = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise PhasescopeError(
            f"The report cannot be written to {path}: {why}. Make room, or write it elsewhere."
        ) from error
