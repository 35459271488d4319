"""run.json as it lies on the disk: read, checked, and written with a digest of its own contents."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store.contents import SCHEMA
from phasescope.store.files import read_json, write_json


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_checkpoints(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict)
        and isinstance(one.get("size"), str)
        and _is_count(one.get("seed"))
        and _is_count(one.get("step"))
        for one in value
    )


def _are_failures(value: Any) -> bool:
    return _are_checkpoints(value) and all(isinstance(one.get("reason"), str) for one in value)


def _are_stages(value: Any) -> bool:
    return isinstance(value, dict) and all(
        isinstance(stages, list)
        and all(
            isinstance(one, list) and len(one) == 3 and isinstance(one[0], str) and all(map(_is_count, one[1:]))
            for one in stages
        )
        for stages in value.values()
    )


def _are_inputs(value: Any) -> bool:
    counts = ("sequences", "context", "output_sequences", "vocabulary")
    return (
        isinstance(value, dict) and isinstance(value.get("hash"), str) and all(_is_count(value.get(c)) for c in counts)
    )


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "family": (lambda value: isinstance(value, str), "the name of the suite"),
    "source": (lambda value: isinstance(value, str), "where the suite is"),
    "sizes": (lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value), "names of sizes"),
    "checkpoints": (_are_checkpoints, "what has size, seed and step"),
    "failed": (_are_failures, "what has size, seed, step and reason"),
    "inputs": (_are_inputs, "hash, sequences, context, output_sequences and vocabulary"),
    "asked": (lambda value: isinstance(value, dict), "what was asked for"),
    "seconds": (_is_number, "a number"),
}
"""What every part of a manifest is that others rely on, and in words."""
_MAY_LACK: dict[str, tuple[Callable[[Any], bool], str]] = {
    **{
        name: (lambda value: isinstance(value, str), "words")
        for name in ("engine", "device", "dtype", "created", "updated")
    },
    "sites": (lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value), "names of sites"),
    "versions": (lambda value: isinstance(value, dict), "versions of libraries"),
    "config": (lambda value: isinstance(value, str), "the folder of a configuration"),
    "prefix": (lambda value: isinstance(value, str), "what stands before names of weights"),
    "unit": (lambda value: isinstance(value, str), "what steps count"),
    "stages": (lambda value: _are_stages(value), "name, first and last step of each stage of each size"),
    "trainings": (lambda value: isinstance(value, list) and all(isinstance(one, dict) for one in value), "trainings"),
}
"""The same of parts that not every run has."""


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest and the digest of its contents."""
    write_json(path, manifest | {"digest": digest_of_manifest(manifest)})


def digest_of_manifest(manifest: dict[str, Any]) -> str:
    """BLAKE2b of everything in it but its digest, whatever the order and the blanks."""
    contents = {key: value for key, value in manifest.items() if key != "digest"}
    return hashlib.blake2b(json.dumps(contents, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_manifest(path: Path) -> dict[str, Any]:
    """What a manifest says; one that says less than it must, or is of a newer format, raises `PhasescopeError`.

    One that is not as it was written is told of (`PhasescopeWarning`): somebody may have meant to change it.
    """
    manifest = read_json(path)
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if not isinstance(schema, int):
        raise PhasescopeError(f"{path} is not a phasescope manifest: it names no schema.")
    if schema > SCHEMA:
        raise PhasescopeError(
            f"{path.parent} was written in format version {schema}, and this phasescope reads up to {SCHEMA}. "
            "Update phasescope: pip install -U phasescope."
        )
    known = _PARTS | {name: part for name, part in _MAY_LACK.items() if name in manifest}
    for name, (fits, what) in known.items():
        if not fits(manifest.get(name)):
            said = "says nothing of" if name not in manifest else "has odd"
            raise PhasescopeError(f"{path} is damaged: it {said} `{name}` ({what}). Restore it from a copy.")
    if problem := manifest_problem(path, manifest):
        warnings.warn(problem, PhasescopeWarning, stacklevel=3)
    manifest.pop("digest", None)
    return dict(manifest)


def manifest_problem(path: Path, manifest: dict[str, Any]) -> str:
    """What is wrong with the contents of a manifest that can be read; empty if nothing is known to be."""
    old = manifest["schema"] < 2 and "digest" not in manifest  # Version 1 kept none.
    if old or manifest.get("digest") == digest_of_manifest(manifest):
        return ""
    return (
        f"{path} changed after it was written: its digest does not fit. Restore it from a copy; if it was changed on "
        "purpose, the next capture keeps the change."
    )


def inputs_of(run: Path) -> dict[str, Any]:
    """What the manifest of a run says of its inputs; nothing where it says nothing that can be read."""
    path = run / "run.json"
    try:
        stat = path.stat()
        return _inputs_of(path, stat.st_size, stat.st_mtime_ns)
    except OSError:
        return {}


@lru_cache(maxsize=64)
def _inputs_of(path: Path, size: int, time: int) -> dict[str, Any]:
    """size, time: of the file, which tell whether it is still the same."""
    try:
        found = read_json(path)["inputs"]
    except (PhasescopeError, KeyError, TypeError):
        return {}
    return found if _are_inputs(found) else {}
