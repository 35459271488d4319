"""Re-read every byte of a run and say what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import h5py

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.store.container import Container, open_container
from phasescope.store.evaluations import read_evaluations
from phasescope.store.folder import RunFolder
from phasescope.store.tables import read_table


@dataclass(frozen=True)
class Finding:
    """One file, and what is wrong with it ("" if nothing is)."""

    path: Path
    problem: str = ""


def verify(folder: RunFolder) -> Iterator[Finding]:
    """Yield a finding for every file of the run, after reading all of it."""
    folder.read_manifest()
    yield _container(folder.inputs, partial(open_container, folder.inputs, "inputs"))
    for key in folder.shards():
        yield _container(folder.shard(key), partial(folder.open_shard, key))
    for size, step in folder.cohorts():
        yield _container(folder.cohort(size, step), partial(folder.open_cohort, size, step))
    for kind, name in folder.item_sets():
        path = folder.items(kind, name)
        yield _container(path, partial(open_container, path, "items"))
        for path in (folder.scores(kind, name, key) for key in folder.scored(kind, name)):
            yield _container(path, partial(open_container, path, "scores"))
    for path in folder.comparisons():
        yield _container(path, partial(open_container, path, "comparison"))
    if folder.index.exists():
        yield Finding(folder.index, _index_problem(folder))
    for path in sorted((folder.path / "results").glob("*.parquet")):
        yield _table(path, partial(read_table, path))
    if folder.evaluations.exists():
        yield _table(folder.evaluations, partial(read_evaluations, folder))


def _table(path: Path, read: Callable[[], object]) -> Finding:
    try:
        read()
    except PhasescopeError as error:
        return Finding(path, str(error))
    return Finding(path)


def _container(path: Path, opened: Callable[[], AbstractContextManager[Container]]) -> Finding:
    try:
        with opened() as container:
            if container.recompute_digest() != container.digest:
                return Finding(
                    path,
                    f"The contents of {path} changed after it was written: its digest does not fit. "
                    "Delete that file and run the same capture again: only it is made anew.",
                )
    except PhasescopeError as error:
        return Finding(path, str(error))
    return Finding(path)


def _index_problem(folder: RunFolder) -> str:
    try:
        with h5py.File(folder.index, "r", locking=False) as file:
            linked = {
                f"{size}/{seed}/{step}"
                for size, seeds in file.get("checkpoints", {}).items()
                for seed, steps in seeds.items()
                for step in steps
            }
    except OSError as error:
        return f"{folder.index} is damaged ({error}). Run the same capture again: it is made anew."
    missing = [key.label for key in folder.shards() if f"{key.size}/seed{key.seed}/step{key.step:08d}" not in linked]
    if missing:
        return (
            f"{folder.index} lacks {counted(len(missing), 'shard')} (first: {missing[0]}). Run the same capture again."
        )
    return ""


__all__ = ["Finding", "verify"]
