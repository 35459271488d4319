"""A suite on local disk, found by the names of its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.suites.naming import STEP_PATTERN, compiled, number, pattern_for, shown
from phasescope.suites.suite import Checkpoint, Suite

# A whole-name match, so that a temporary (`step512.tmp`, `.step512`) is no checkpoint.
_STEP = re.compile(r"(?:step|checkpoint)[-_]?(\d+)", re.IGNORECASE)
_SEED = re.compile(r"seed[-_]?(\d+)", re.IGNORECASE)
_LAYOUTS = "<size>/seed<k>/step<n>/, <size>/step<n>/, seed<k>/step<n>/ or step<n>/ (or checkpoint-<n>/)"
_DEEPEST = 3
"""Folders below the suite's: a size, a seed, a step."""


def open_local(folder: str | Path, pattern: str | None = None) -> Suite:
    """The checkpoints below a folder, by layout or by a pattern.

    The layouts are `<size>/seed<k>/step<n>/`, `<size>/step<n>/`, `seed<k>/step<n>/` and `step<n>/`, where the last
    folder is one that `save_pretrained` wrote; `checkpoint-<n>` is read as a step too. Where the layout has no
    seed, the seed is 0; where it has no size, the size is the name of the folder. A step's folder counts even if it
    is empty or damaged: that is found out, and told, when the checkpoint is loaded. Folders that hold a model and are
    called otherwise are `left_out` of the suite.

    `pattern` is a regular expression, searched for in each folder's path from here, up to three deep, with a group
    `(?P<step>\\d+)` and, if the names tell them, `(?P<seed>\\d+)` and `(?P<size>…)`; else the layout tells these two.

    Raises `PhasescopeError` if the folder does not exist, cannot be read or holds no checkpoints.
    """
    root = Path(os.path.abspath(Path(folder).expanduser()))
    if not root.exists():
        raise PhasescopeError(f"There is no folder {root}. Check the path.")
    if not root.is_dir():
        raise PhasescopeError(f"{root} is a file, not a folder of checkpoints.")
    try:
        checkpoints = tuple(_checkpoints_below(root) if pattern is None else _matching(root, root, compiled(pattern)))
        taken = {Path(checkpoint.location) for checkpoint in checkpoints}
        left_out = tuple(one.relative_to(root).as_posix() for one in _models_in(root) if one not in taken)
    except OSError as error:
        raise PhasescopeError(f"{error.filename or root} cannot be read ({error.strerror}).") from error
    if not checkpoints:
        raise PhasescopeError(_none(root, pattern, left_out))
    return Suite(root.name, str(root) if pattern is None else f"{root}@{pattern}", checkpoints, left_out)


def _none(root: Path, pattern: str | None, left_out: tuple[str, ...]) -> str:
    """The sentence for a folder in which nothing is a checkpoint."""
    if _STEP.fullmatch(root.name) or _is_model(root):
        return f"{root} holds no checkpoints: it is one. Give the folder above it. The layouts are {_LAYOUTS}."
    if pattern is not None:
        there = f"the folders with models are {shown(left_out)}" if left_out else "no folder there holds a model"
        return f"{root} has no folder whose name matches {pattern!r}; {there}."
    if left_out:
        return (
            f"{root} holds no checkpoints of a known layout ({_LAYOUTS}), but {len(left_out)} "
            f"{'folders' if len(left_out) > 1 else 'folder'} with a model: {shown(left_out)}. Say how the names tell "
            f"the step: '{root}@{pattern_for(left_out)}'"
        )
    return f"{root} holds no checkpoints. The layouts are {_LAYOUTS}; other names need a pattern, {root}@{STEP_PATTERN}"


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


def _matching(folder: Path, root: Path, pattern: re.Pattern[str], depth: int = 1) -> Iterator[Checkpoint]:
    """The folders that a pattern finds; below one that it finds it is not looked for another."""
    for child in _folders(folder):
        path = child.relative_to(root)
        if found := pattern.search(path.as_posix()):
            told = {key: value for key, value in found.groupdict().items() if value}
            above = [part for part in path.parts[:-1] if not _SEED.fullmatch(part)]
            seeds = [seed[1] for part in path.parts[:-1] if (seed := _SEED.fullmatch(part))]
            yield Checkpoint(
                root.name,
                told.get("size") or (above[-1] if above else root.name),
                number(told.get("seed") or (seeds[-1] if seeds else "0"), "seed", f"the folder {path}"),
                number(told.get("step") or "", "step", f"the folder {path}"),
                str(child),
            )
        elif depth < _DEEPEST:
            yield from _matching(child, root, pattern, depth + 1)


def _models_in(folder: Path, depth: int = 1) -> Iterator[Path]:
    """The folders below that hold a model; a temporary of one that is being saved is not looked at."""
    for child in _folders(folder):
        if child.suffix == ".tmp":
            continue
        if _is_model(child):
            yield child
        elif depth < _DEEPEST:
            yield from _models_in(child, depth + 1)


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
