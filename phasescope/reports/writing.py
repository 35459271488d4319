"""How a report comes to lie on the disk."""

from __future__ import annotations

from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.store import replacing


def write_whole(path: Path, text: str) -> None:
    """Write a report, whole or not at all. Raises `PhasescopeError` where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except PhasescopeError as error:
        why = getattr(error.__cause__, "strerror", None) or error.__cause__
        raise PhasescopeError(
            f"The report cannot be written to {path}: {why}. Make room, or write it elsewhere."
        ) from error
