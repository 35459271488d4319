"""Re-read every byte of a run and say what does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError
from phasescope.store import guard
from phasescope.store.evaluations import read_evaluations
from phasescope.store.files import read_json
from phasescope.store.folder import RunFolder
from phasescope.store.index import index_problem
from phasescope.store.manifests import manifest_problem
from phasescope.store.missing import missing_shards
from phasescope.store.opening import open_container
from phasescope.store.places import place_of
from phasescope.store.tables import read_table


@dataclass(frozen=True)
class Finding:
    """One file, and what is wrong with it ("" if nothing is)."""

    path: Path
    problem: str = ""


def verify(folder: RunFolder) -> Iterator[Finding]:
    """Yield a finding for every file of the run, after reading all of it.

    Raises `PhasescopeError` for a manifest that cannot be read: nothing says what the run is.
    """
    manifest = _manifest(folder)
    yield Finding(folder.manifest, manifest_problem(folder.manifest, manifest))
    files = [folder.inputs, *folder.containers()]
    files += [folder.index] if folder.index.exists() else []
    files += sorted((folder.path / "results").rglob("*.parquet"))
    files += [folder.evaluations] if folder.evaluations.exists() else []
    for path in files:
        yield Finding(path, _checked(path))
    yield from _missing(folder, manifest)


def problem_of(path: Path, beat: Callable[[], object] = lambda: None) -> str:
    """What is wrong with a file of a run, all of which is read; empty if nothing is. beat: called now and then."""
    try:
        if path.name == "run.h5":
            return index_problem(RunFolder(path.parent))
        if path.name == "evaluations.parquet":
            read_evaluations(RunFolder(path.parent))
        elif path.suffix == ".parquet":
            read_table(path)
        else:
            place = place_of(path)
            with open_container(path, (place.kind if place else "shard").split(" ")[0]) as container:
                if container.recompute_digest(beat) != container.digest:
                    return (
                        f"The contents of {path} changed after it was written: its digest does not fit. "
                        "Delete that file and run the same capture again: only it is made anew."
                    )
    except PhasescopeError as error:
        return str(error)
    return ""


def _manifest(folder: RunFolder) -> dict[str, Any]:
    """The manifest with its digest."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What there is to tell is a finding.
        folder.read_manifest()
    manifest: dict[str, Any] = read_json(folder.manifest)
    return manifest


def _checked(path: Path) -> str:
    """Damage may end a process, or keep it for ever: so another one reads."""
    try:
        return guard.GUARD.ask("verify", path)
    except PhasescopeError as error:
        return str(error)


def _missing(folder: RunFolder, manifest: dict[str, Any]) -> Iterator[Finding]:
    for path in folder.lost_items():
        yield Finding(path, f"{path} is gone, and there are scores of its items. Restore it, or remove its folder.")
    try:
        missing = missing_shards(folder, manifest)
    except PhasescopeError:
        return  # The index cannot be read, which was said of it.
    for key in missing.all:
        there = "was there and is gone" if key in missing.lost else "was asked for and is not there"
        yield Finding(
            folder.shard(key), f"The shard of {key.label} {there}. Run the same capture again: only it is made."
        )


__all__ = ["Finding", "problem_of", "verify"]
