"""Every rule, on what a run holds: its checkpoints are not needed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from phasescope.audit.files import equal_parts
from phasescope.audit.finding import Finding, in_order, left_out
from phasescope.audit.fingerprints import fingerprints
from phasescope.audit.repeated import equal_weights
from phasescope.audit.weights import Samples, weights_in_order
from phasescope.errors import PhasescopeError
from phasescope.store import Container, RunFolder, ShardKey


def audit_run(folder: RunFolder) -> list[Finding]:
    """What the rules find in a run: what is certain first, what is as it should be last."""
    shared = _shared(folder)
    kept = {key: of for key, of in kept_of(folder).items() if key not in shared}
    recorded = {key: of for key, of in fingerprints(folder).items() if key not in shared}
    digests = {key: of.digests for key, of in kept.items()}
    equal = [*equal_weights(recorded), *equal_parts(digests, "weight matrices", "bytes")]
    # Copies tell nothing of the order of the others.
    known = left_out(equal)
    return in_order([*equal, *weights_in_order({key: of.entries for key, of in kept.items() if key not in known})])


def _shared(folder: RunFolder) -> set[ShardKey]:
    """The checkpoints of a trunk that branches share, of all branches but the first: they are equal by right."""
    entries = folder.read_manifest().get("checkpoints", []) if folder.exists() else []
    return {ShardKey(one["size"], one["seed"], one["step"]) for one in entries if "shared_with" in one}


@dataclass(frozen=True)
class Fingerprints:
    """What is kept of the weight matrices of a checkpoint, by their names: digests, and a few entries of each."""

    digests: Mapping[str, str]
    entries: Samples

    @classmethod
    def read(cls, shard: Container) -> Fingerprints:
        names = [str(name) for name in shard.read("fingerprints/matrices")]
        ends = np.cumsum(shard.read("fingerprints/counts"))[:-1]
        parts = np.split(shard.read("fingerprints/entries"), ends)
        digests = [str(digest) for digest in shard.read("fingerprints/digests")]
        return cls(dict(zip(names, digests, strict=True)), dict(zip(names, parts, strict=True)))


def kept_of(folder: RunFolder) -> dict[ShardKey, Fingerprints]:
    """The fingerprints that each shard keeps of its weights; older shards, and remote ones, keep none."""
    found: dict[ShardKey, Fingerprints] = {}
    for key in folder.shards():
        # A damaged shard is told by whoever needs it; h5py has no common error for it.
        with suppress(PhasescopeError, OSError, RuntimeError, KeyError, ValueError), folder.open_shard(key) as shard:
            if shard.names("fingerprints"):
                found[key] = Fingerprints.read(shard)
    return found
