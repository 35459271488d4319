"""What was read of weights on the hub, kept in the user's cache by commit: a commit never changes, nor what is in it.

Each checkpoint is kept as soon as it was read, so that what was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.store import read_json, write_json
from phasescope.suites.listings import kept_under

if TYPE_CHECKING:
    from phasescope.audit.listed import Listed
    from phasescope.audit.weights import Samples
    from phasescope.suites import Checkpoint

# Goes up when something else is read of the same files.
_VERSION = 1


@dataclass(frozen=True)
class Weights:
    """What was read of one checkpoint, or of a default branch.

    Attributes:
        entries: of each matrix.
        shapes: of every tensor in the files that were opened.
        whole: whether these are all files that hold its weights.
        other: entries of the same matrices in the other variant (`.bin` beside `.safetensors`), where there is one.
        told: the step that a file beside the weights tells, by the name of the file.
        why: why nothing, or not all, could be read; a sentence.
    """

    entries: Samples = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    whole: bool = False
    other: Samples = field(default_factory=dict)
    told: Mapping[str, int] = field(default_factory=dict)
    why: str = ""


def kept_weights(checkpoint: Checkpoint, listed: Listed, where: dict[str, str]) -> Weights | None:
    """What is kept of a checkpoint, of the matrices that are asked for; None where nothing is.

    where: the file of each of them. If empty it is filled, where the matrices were chosen of this checkpoint then.
    """
    place = _place(checkpoint, listed)
    # What is not there, damaged, or of another version is read anew.
    with suppress(OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile), np.load(place) as kept:
        about = json.loads(str(kept["about"]))
        if about["version"] != _VERSION or (about["where"] != where if where else not about["chosen"]):
            return None
        of = {kind: {name: kept[f"{kind} {place}"] for place, name in enumerate(about[kind])} for kind in _ARRAYS}
        shapes = {str(name): tuple(map(int, shape)) for name, shape in about["shapes"].items()}
        told = {str(name): int(step) for name, step in about["told"].items()}
        where |= about["where"]
        return Weights(of["entries"], shapes, bool(about["whole"]), of["other"], told, str(about["why"]))
    return None


_ARRAYS = ("entries", "other")


def keep_weights(
    checkpoint: Checkpoint, listed: Listed, where: Mapping[str, str], found: Weights, *, chosen: bool
) -> None:
    """Keep it; where nothing can be written it is read again. chosen: whether the matrices were, of this checkpoint."""
    if checkpoint.is_local:
        return
    about = {
        "version": _VERSION, "where": dict(where), "chosen": chosen, "shapes": found.shapes, "whole": found.whole,
        "told": found.told, "why": found.why, "entries": list(found.entries), "other": list(found.other),
    }  # fmt: skip
    arrays = {f"{kind} {place}": of for kind in _ARRAYS for place, of in enumerate(getattr(found, kind).values())}
    path = _place(checkpoint, listed)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            try:
                np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
            except BaseException:
                file.close()
                Path(file.name).unlink(missing_ok=True)
                raise
        os.replace(file.name, path)


def kept_config(digest: str) -> dict[str, Any] | None:
    """A file of JSON with that hash, as it was kept."""
    with suppress(PhasescopeError):
        kept = read_json(kept_under("files") / f"{digest}.json")
        return kept if isinstance(kept, dict) else None
    return None


def keep_config(digest: str, told: Mapping[str, Any]) -> None:
    with suppress(OSError, PhasescopeError):
        path = kept_under("files") / f"{digest}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, dict(told))


def _place(checkpoint: Checkpoint, listed: Listed) -> Path:
    """Several checkpoints may be folders of one commit; and what is read of it depends on what is listed there."""
    of = json.dumps([checkpoint.folder, sorted((name, sorted(variant)) for name, variant in listed.variants.items())])
    name = hashlib.blake2b(of.encode(), digest_size=6).hexdigest()
    return kept_under("weights", checkpoint.location) / f"{listed.commit}-{name}.npz"
