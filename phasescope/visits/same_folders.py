"""Folders with the same weights, found before they are read: the first is probed, the others are written down.

Of weight files that are equally long a few places are compared; where these agree they are read whole, for the sha256.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError
from phasescope.store import RunFolder, ShardKey
from phasescope.visits.twins import Twin

if TYPE_CHECKING:
    from phasescope.suites import Checkpoint

_ADAPTER = "adapter_config.json"  # the base of one lies elsewhere
_PLACES, _BYTES = 8, 1 << 14
Files = tuple[Path, ...]


def same_folders(
    checkpoints: Sequence[Checkpoint], folder: RunFolder
) -> tuple[dict[ShardKey, str], dict[ShardKey, Twin]]:
    """The sha256 of the weights of every folder that another is equal to; and of these all but the first.

    Of weights in several files it is the sha256 of theirs, by name, joined by blanks.

    A shard that is there already may have been made of what lay there before: where the run does not tell that sha256
    of it, none is told of it, and no other is written down from it. What cannot be read is nobody's twin: who loads it
    tells what is wrong.
    """
    found = {one: files for one in checkpoints if one.file is None and (files := _files(one))}
    groups = [list(found)]
    for tell in (_lengths, _sampled, _whole):
        groups = [group for of in groups for group in _equal(of, found, tell)]
    before, digests, twins = _recorded(folder), dict[ShardKey, str](), dict[ShardKey, Twin]()
    for group in groups:
        first, *others = [ShardKey(one.size, one.seed, one.step) for one in sorted(group, key=_visited)]
        digest = _whole(found[group[0]])[1]
        known = [key for key in (first, *others) if not folder.shard(key).is_file() or before.get(key) == digest]
        digests |= dict.fromkeys(known, digest)
        if first in known:
            twins |= {key: Twin(first, "", "") for key in others}
    return digests, twins


def _visited(one: Checkpoint) -> tuple[int, int]:
    return one.step, one.seed


def _files(one: Checkpoint) -> Files:
    """The configuration of a folder and the weights that are loaded of it; none where they are no whole model."""
    from phasescope.suites.weights import model_files

    root = Path(one.location)
    config = root / "config.json"
    with suppress(BadCheckpointError, OSError):
        if config.is_file() and not (root / _ADAPTER).exists() and (files := model_files(one, root)):
            return (config, *files)
    return ()


def _equal(
    group: Sequence[Checkpoint], files: Mapping[Checkpoint, Files], tell: Callable[[Files], tuple[object, ...]]
) -> list[list[Checkpoint]]:
    """Those of which the same is told, and of one size and kind; without what is alone."""
    together: dict[tuple[object, ...], list[Checkpoint]] = {}
    for one in group if len(group) > 1 else ():
        with suppress(OSError):
            together.setdefault((one.size, one.config, one.prefix, *tell(files[one])), []).append(one)
    return [equal for equal in together.values() if len(equal) > 1]


def _lengths(files: Files) -> tuple[object, ...]:
    return tuple((file.name, file.stat().st_size) for file in files)


def _sampled(files: Files) -> tuple[object, ...]:
    """A few places of each weight file."""
    total = hashlib.blake2b(digest_size=16)
    for file in files[1:]:
        with file.open("rb") as opened:
            for place in range(_PLACES):
                opened.seek(file.stat().st_size * place // _PLACES)
                total.update(opened.read(_BYTES))
    return (total.hexdigest(),)


def _whole(files: Files) -> tuple[object, str]:
    """The sha256 of the configuration, and that of the weights."""
    config, *weights = [_sha256(file, file.stat().st_mtime_ns) for file in files]
    return config, weights[0] if len(weights) == 1 else hashlib.sha256(" ".join(weights).encode()).hexdigest()


@functools.lru_cache(maxsize=4096)
def _sha256(file: Path, changed: int) -> str:
    from phasescope.suites.download import sha256

    return sha256(file)


def _recorded(folder: RunFolder) -> dict[ShardKey, str]:
    """The sha256 that a run tells of checkpoints."""
    entries = folder.read_manifest().get("checkpoints", []) if folder.exists() else []
    return {ShardKey(one["size"], one["seed"], one["step"]): one["sha256"] for one in entries if "sha256" in one}
