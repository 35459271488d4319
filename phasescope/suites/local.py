"""A suite on local disk, found by the names of its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.suites.suite import Checkpoint, Suite

# A whole-name match, so that a temporary (`step512.tmp`, `.step512`) is no checkpoint.
_STEP = re.compile(r"(?:step|checkpoint)[-_]?(\d+)", re.IGNORECASE)
_SEED = re.compile(r"seed[-_]?(\d+)", re.IGNORECASE)
_LAYOUTS = "<size>/seed<k>/step<n>/, <size>/step<n>/, seed<k>/step<n>/ or step<n>/ (or checkpoint-<n>/)"


def open_local(folder: str | Path) -> Suite:
    """The checkpoints below a folder, by layout.

    The layouts are `<size>/seed<k>/step<n>/`, `<size>/step<n>/`, `seed<k>/step<n>/` and `step<n>/`, where the last
    folder is one that `save_pretrained` wrote; `checkpoint-<n>` is read as a step too. Where the layout has no
    seed, the seed is 0; where it has no size, the size is the name of the folder. A step's folder counts even if it
    is empty or damaged: that is found out, and told, when the checkpoint is loaded.

    Raises `PhasescopeError` if the folder does not exist, cannot be read or holds no checkpoints.
    """
    root = Path(os.path.abspath(Path(folder).expanduser()))
    if not root.exists():
        raise PhasescopeError(f"There is no folder {root}. Check the path.")
    if not root.is_dir():
        raise PhasescopeError(f"{root} is a file, not a folder of checkpoints.")
    try:
        checkpoints = tuple(_checkpoints_below(root))
    except OSError as error:
        raise PhasescopeError(f"{error.filename or root} cannot be read ({error.strerror}).") from error
    if not checkpoints:
        hint = " Give the folder above it." if _STEP.fullmatch(root.name) else ""
        raise PhasescopeError(f"{root} holds no checkpoints.{hint} The layouts are {_LAYOUTS}.")
    return Suite(root.name, str(root), checkpoints)


def _checkpoints_below(root: Path) -> Iterator[Checkpoint]:
    one_seed = _SEED.fullmatch(root.name)
    if one_seed:  # The folder of one seed was given: its size is the folder above.
        yield from _steps(root, root.name, root.parent.name, int(one_seed[1]))
        return
    yield from _models(root, root.name, root.name)
    for child in _folders(root):
        if not (_STEP.fullmatch(child.name) or _SEED.fullmatch(child.name)):
            yield from _models(child, root.name, child.name)


def _models(folder: Path, family: str, size: str) -> Iterator[Checkpoint]:
    yield from _steps(folder, family, size, seed=0)
    for child in _folders(folder):
        seed = _SEED.fullmatch(child.name)
        if seed:
            yield from _steps(child, family, size, int(seed[1]))


def _steps(folder: Path, family: str, size: str, seed: int) -> Iterator[Checkpoint]:
    for child in _folders(folder):
        step = _STEP.fullmatch(child.name)
        if step:
            yield Checkpoint(family, size, seed, int(step[1]), str(child))


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
