"""What shards keep of their checkpoints: digests of matrices, a few entries of each, and of all that they recorded."""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.store import (
    Container,
    Part,
    RunFolder,
    ShardKey,
    digests,
    origin_of,
    read_json,
    read_parts,
    write_json,
    write_parts,
)

if TYPE_CHECKING:
    from jaxtyping import Float

    from phasescope.audit.weights import Samples

# Goes up when something else is kept of the same shards.
_VERSION = 1
# Digests, and in shards without them spectra, are of matrices alone: beside them stands what depends on every weight.
_DIGESTS, _WEIGHTS, _ACTIVATIONS = "fingerprints/digests", "spectra", "activations"
_OUTPUTS = ("outputs/surprisal", "outputs/entropy")
_KEPT = "fingerprints.json"
# Tokens of which the surprisal is compared: those of thousands of shards have to fit into memory.
_TOKENS = 4096


@dataclass(frozen=True)
class Fingerprints:
    """What a shard keeps of the weight matrices of a checkpoint, by their names: digests, and a few entries of each.

    Both are empty for older shards and remote models. contents: the digest that the shard keeps of itself.
    surprisal: of at most some thousand tokens, evenly spaced; None where no outputs were recorded.
    """

    contents: str
    digests: Mapping[str, str]
    entries: Samples
    surprisal: Float[np.ndarray, " tokens"] | None = None

    @classmethod
    def read(cls, shard: Container) -> Fingerprints:
        """Out of a shard."""
        return cls.of_part(shard.digest, _part(shard))

    @classmethod
    def of_part(cls, contents: str, part: Part) -> Fingerprints:
        """Out of what was kept of a shard."""
        # Interned: the shards of a model have the same names.
        names = [sys.intern(str(name)) for name in part["matrices"]]
        entries = np.split(part["entries"], np.cumsum(part["counts"])[:-1]) if names else []
        digests = [str(digest) for digest in part["digests"]]
        told = part["surprisal"] if len(part["surprisal"]) else None
        return cls(contents, dict(zip(names, digests, strict=True)), dict(zip(names, entries, strict=True)), told)


def _part(shard: Container) -> Part:
    recorded = dict.fromkeys(("matrices", "digests"), np.zeros(0, dtype=str))
    recorded |= {"counts": np.zeros(0, dtype=np.int64), "entries": np.zeros(0, dtype=np.float32)}
    if shard.names("fingerprints"):
        recorded = {name: shard.read(f"fingerprints/{name}") for name in recorded}
    every = np.zeros(0, dtype=np.float32)
    if _OUTPUTS[0] in shard.names("outputs"):
        every = shard.read(_OUTPUTS[0]).reshape(-1)
    return recorded | {"surprisal": every[:: -(-len(every) // _TOKENS) or 1].copy()}


def kept_of(folder: RunFolder, *, anew: bool = False, keep: bool = False) -> dict[ShardKey, Fingerprints]:
    """What each shard of a run that can be read keeps.

    anew: read all of them. keep: write what was read, under the digests of the shards, so that these need not be opened
    again.
    """
    found: dict[ShardKey, Fingerprints] = {}
    for (size, seed), group in groupby(folder.shards(), key=lambda key: (key.size, key.seed)):
        keys = list(group)
        path = folder.parts(f"audit/{size}/seed{seed}")
        known = {} if anew else read_parts(path)
        parts: dict[str, Part] = {}
        for key, contents in zip(keys, digests(folder, map(folder.shard, keys), keep).values(), strict=True):
            origin = origin_of(_VERSION, contents)
            # A damaged shard is told by whoever needs it; h5py has no common error for it.
            with suppress(PhasescopeError, OSError, RuntimeError, KeyError, ValueError):
                parts[origin] = known.get(origin) or _read_part(folder, key)
                found[key] = Fingerprints.of_part(contents, parts[origin])
        if keep and parts and parts.keys() != known.keys():
            with suppress(OSError, PhasescopeError):  # a run that may only be read
                write_parts(path, parts)
    return found


def _read_part(folder: RunFolder, key: ShardKey) -> Part:
    with folder.open_shard(key) as shard:
        return _part(shard)


def fingerprints(folder: RunFolder, kept: Mapping[ShardKey, Fingerprints], keep: bool = False) -> dict[ShardKey, str]:
    """One number for each shard that recorded anything, equal where all that two recorded is, bit for bit.

    Shards with a matrix of their own need no more than that. The others are opened again, and what is made of them may
    be kept in `results/fingerprints.json` under the digest of the shard's contents: reading the spectra of thousands
    takes minutes. keep: write it; where nothing can be written they are made again.
    """
    matrices = {key: " ".join([*of.digests, *of.digests.values()]) for key, of in kept.items()}
    times = Counter(matrices.values())
    known, made = _read(folder), dict[str, str]()
    found: dict[ShardKey, str] = {}
    for key, of in kept.items():
        if of.digests and times[matrices[key]] == 1:
            found[key] = hashlib.blake2b(matrices[key].encode(), digest_size=16).hexdigest()
            continue
        with suppress(PhasescopeError, OSError, RuntimeError, KeyError):
            found[key] = made[of.contents] = known.get(of.contents) or _fingerprint_of(folder, key)
    if keep and made and made != known:
        with suppress(OSError, PhasescopeError):  # a run that may only be read
            write_json(folder.made / "results" / _KEPT, made)
    return {key: fingerprint for key, fingerprint in found.items() if fingerprint}


def fingerprint(shard: Container) -> str:
    """A digest of names, types, shapes and bytes of what is recorded, whatever checkpoint the shard says it is of.

    "" where nothing is, or no number is finite: what is missing everywhere is alike in all of them.
    """
    total = hashlib.blake2b(digest_size=16)
    outputs = [name for name in shard.names("outputs") if name in _OUTPUTS]
    # Activations are large: they are read where no outputs were asked for.
    weights = [_DIGESTS] if _DIGESTS in shard.names("fingerprints") else shard.names(_WEIGHTS)
    recorded = sorted(weights + (outputs or shard.names(_ACTIVATIONS)))
    told = False
    for name in recorded:
        array = shard.read(name)
        told = told or array.dtype.kind != "f" or bool(np.isfinite(array).any())
        total.update(json.dumps([name, str(array.dtype), array.shape]).encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest() if told else ""


def _fingerprint_of(folder: RunFolder, key: ShardKey) -> str:
    with folder.open_shard(key) as shard:
        return fingerprint(shard)


def _read(folder: RunFolder) -> dict[str, str]:
    try:
        return {str(digest): str(kept) for digest, kept in read_json(folder.made / "results" / _KEPT).items()}
    except (PhasescopeError, AttributeError):
        return {}  # not there, or damaged: it is made anew
