"""A suite on local disk, found by the names of its folders."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.suites.adapters import is_adapter
from phasescope.suites.naming import EXAMPLE, NAMES, compiled, pattern_for, shown, told_by
from phasescope.suites.states import is_state
from phasescope.suites.suite import Suite
from phasescope.suites.trajectories import Found, assembled

_NAMES = compiled(NAMES)
_SEED = re.compile(r"seed[-_]?(\d+)", re.IGNORECASE)
_LAYOUTS = "<size>/seed<k>/step<n>/, <size>/step<n>/, seed<k>/step<n>/ or step<n>/ (or checkpoint-<n>/)"
_DEEPEST = 3
"""Folders below the suite's: a size, a seed, a step."""


def open_local(folder: str | Path, pattern: str | None = None) -> Suite:
    """The checkpoints below a folder, by layout or by a pattern.

    The layouts are `<size>/seed<k>/step<n>/`, `<size>/step<n>/`, `seed<k>/step<n>/` and `step<n>/`, where the last
    folder is one that `save_pretrained` wrote. It may also be called as the hub calls revisions: `checkpoint-<n>`,
    `stage1-step1000-tokens4B`, `global_step1000`, `iter_0001000`, `ckpt_001`, `chck_10M` (see
    `phasescope.suites.naming`). Where the layout has no seed, the seed is 0; where it has no size, the size is the name
    of the folder. A step's folder counts even if it is empty or damaged: that is found out, and told, when the
    checkpoint is loaded. Folders that hold a model and are called otherwise are `left_out` of the suite.

    `pattern` is a regular expression, searched for in each folder's path from here, up to three deep, with a group
    `(?P<step>\\d+)` and, if the names tell them, the other groups of `phasescope.suites.naming`; seed and size may be
    told by the layout too.

    Raises `PhasescopeError` if the folder does not exist, cannot be read or holds no checkpoints.
    """
    from phasescope.suites.provenance import tokens_of_a_step  # loads NumPy

    root = Path(os.path.abspath(Path(folder).expanduser()))
    if not root.exists():
        raise PhasescopeError(f"There is no folder {root}. Check the path.")
    if not root.is_dir():
        raise PhasescopeError(f"{root} is a file, not a folder of checkpoints.")
    try:
        found = list(_in_layout(root) if pattern is None else _matching(root, root, compiled(pattern)))
        taken = {Path(one.location) for one in found}
        left_out = tuple(one.relative_to(root).as_posix() for one in _models_in(root) if one not in taken)
    except OSError as error:
        raise PhasescopeError(f"{error.filename or root} cannot be read ({error.strerror}).") from error
    if not found:
        raise PhasescopeError(_none(root, pattern, left_out))
    source = str(root) if pattern is None else f"{root}@{pattern}"
    if each := tokens_of_a_step(root):
        found = [replace(one, told=replace(one.told, tokens=each * one.told.step)) for one in found]
    return assembled(root.name, source, found, left_out=left_out)


def _none(root: Path, pattern: str | None, left_out: tuple[str, ...]) -> str:
    """The sentence for a folder in which nothing is a checkpoint."""
    if _NAMES.search(root.name) or _is_model(root):
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
    return f"{root} holds no checkpoints. The layouts are {_LAYOUTS}; other names need a pattern, {root}@{EXAMPLE}"


def _in_layout(root: Path) -> Iterator[Found]:
    one_seed = _SEED.fullmatch(root.name)
    if one_seed:  # The folder of one seed was given: its size is the folder above.
        yield from _steps(root, root.parent.name, one_seed[1])
        return
    yield from _models(root, root.name)
    for child in _folders(root):
        if not (_NAMES.search(child.name) or _SEED.fullmatch(child.name)):
            yield from _models(child, child.name)


def _models(folder: Path, size: str) -> Iterator[Found]:
    yield from _steps(folder, size, seed="")
    for child in _folders(folder):
        seed = _SEED.fullmatch(child.name)
        if seed:
            yield from _steps(child, size, seed[1])


def _steps(folder: Path, size: str, seed: str) -> Iterator[Found]:
    for child in (*_folders(folder), *_files(folder)):
        if found := _NAMES.search(_stem(child)):
            told = told_by(found.groupdict(), child.name)
            yield Found(replace(told, size=size, seed=told.seed or seed), child.name, str(child))


def _matching(folder: Path, root: Path, pattern: re.Pattern[str], depth: int = 1) -> Iterator[Found]:
    """The folders that a pattern finds; below one that it finds it is not looked for another."""
    for child in (*_folders(folder), *_files(folder)):
        path = child.relative_to(root)
        if found := pattern.search(path.as_posix()):
            told = told_by(found.groupdict(), f"the folder {path}")
            above = [part for part in path.parts[:-1] if not _SEED.fullmatch(part)]
            seeds = [seed[1] for part in path.parts[:-1] if (seed := _SEED.fullmatch(part))]
            size, own = told.size or (above[-1] if above else root.name), told.seed or (seeds[-1] if seeds else "")
            yield Found(replace(told, size=size, seed=own), path.as_posix(), str(child))
        elif depth < _DEEPEST and child.is_dir():
            yield from _matching(child, root, pattern, depth + 1)


def _models_in(folder: Path, depth: int = 1) -> Iterator[Path]:
    """The folders and files below that hold a model; a temporary of one that is being saved is not looked at."""
    yield from _files(folder)
    for child in _folders(folder):
        if child.suffix == ".tmp":
            continue
        if _is_model(child):
            yield child
        elif depth < _DEEPEST:
            yield from _models_in(child, depth + 1)


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file() or is_adapter(folder) or is_state(folder)


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def _files(folder: Path) -> list[Path]:
    """Weights in files of their own; the files of one checkpoint are no others."""
    if is_adapter(folder) or is_state(folder):
        return []
    found = (child for child in folder.iterdir() if is_state(child) and child.is_file())
    return sorted(child for child in found if not child.name.startswith("."))


def _stem(path: Path) -> str:
    """What a folder is called, or a file without its ending: of Lightning's `epoch=0-step=500.ckpt` the step."""
    if path.is_dir():
        return path.name
    lightning = re.search(r"step=(\d+)$", path.stem)
    return f"step{lightning[1]}" if lightning else path.stem
