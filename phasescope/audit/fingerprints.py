"""What a shard keeps of its checkpoint, as one number: equal where all of it is, bit for bit."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.store import Container, RunFolder, ShardKey, digests, read_json, write_json

# Digests, and in shards without them spectra, are of matrices alone: beside them stands what depends on every weight.
_DIGESTS, _WEIGHTS, _ACTIVATIONS = "fingerprints/digests", "spectra", "activations"
_OUTPUTS = ("outputs/surprisal", "outputs/entropy")
_KEPT = "fingerprints.json"


def fingerprints(folder: RunFolder) -> dict[ShardKey, str]:
    """Of each shard of a run that can be read and recorded anything.

    What was made of a shard is kept in `results/fingerprints.json` under the digest of that shard's contents: reading
    the spectra of thousands takes minutes. Where nothing can be written they are made again.
    """
    paths = {key: folder.shard(key) for key in folder.shards()}
    by_name = digests(folder, paths.values())
    contents = {key: by_name[path.relative_to(folder.path).as_posix()] for key, path in paths.items()}
    known = _read(folder)
    found: dict[ShardKey, str] = {}
    for key, digest in contents.items():
        # A damaged shard is told by whoever needs it; h5py has no common error for it.
        with suppress(PhasescopeError, OSError, RuntimeError, KeyError):
            found[key] = known.get(digest) or _fingerprint_of(folder, key)
    kept = {contents[key]: fingerprint for key, fingerprint in found.items()}
    if kept != known:
        with suppress(OSError, PhasescopeError):  # a run that may only be read
            write_json(folder.path / "results" / _KEPT, kept)
    return {key: fingerprint for key, fingerprint in found.items() if fingerprint}


def fingerprint(shard: Container) -> str:
    """A digest of names, types, shapes and bytes of what is recorded, whatever checkpoint the shard says it is of.

    "" where nothing is.
    """
    total = hashlib.blake2b(digest_size=16)
    outputs = [name for name in shard.names("outputs") if name in _OUTPUTS]
    # Activations are large: they are read where no outputs were asked for.
    weights = [_DIGESTS] if _DIGESTS in shard.names("fingerprints") else shard.names(_WEIGHTS)
    recorded = sorted(weights + (outputs or shard.names(_ACTIVATIONS)))
    if not recorded:
        return ""
    for name in recorded:
        array = shard.read(name)
        total.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _fingerprint_of(folder: RunFolder, key: ShardKey) -> str:
    with folder.open_shard(key) as shard:
        return fingerprint(shard)


def _read(folder: RunFolder) -> dict[str, str]:
    try:
        return {str(digest): str(kept) for digest, kept in read_json(folder.path / "results" / _KEPT).items()}
    except (PhasescopeError, AttributeError):
        return {}  # not there, or damaged: it is made anew
