"""Every rule, on what a run holds: its checkpoints are not needed."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from phasescope.audit.across import other_beginnings
from phasescope.audit.files import equal_parts
from phasescope.audit.finding import Finding, in_order, left_out
from phasescope.audit.fingerprints import fingerprints, kept_of
from phasescope.audit.matrices import of_matrices
from phasescope.audit.outputs import equal_outputs, jumping_losses, outputs_in_order
from phasescope.audit.repeated import equal_weights
from phasescope.audit.weights import weights_in_order
from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, digests, read_json, write_json

# Goes up when the rules find something else in the same shards.
_VERSION = 4


def audit_run(folder: RunFolder, *, anew: bool = False, keep: bool = False) -> list[Finding]:
    """What the rules find in a run: what is certain first, what is as it should be last.

    What was found may be kept in `results/audit.json` under the digests of all shards, for it takes a minute to open
    thousands. anew: do not believe that. keep: write it; who only looks at a run writes nothing.
    """
    shared = _shared(folder)
    of = _state(folder, shared, keep)
    kept = None if anew else _kept(folder, of)
    if kept is not None:
        return kept
    found = _audited(folder, shared, anew, keep)
    with suppress(OSError, PhasescopeError):  # a run that may only be read
        if keep and folder.exists():
            write_json(_place(folder), {"of": of, "findings": [finding.as_record() for finding in found]})
    return found


def _audited(folder: RunFolder, shared: set[ShardKey], anew: bool, keep: bool) -> list[Finding]:
    kept = {key: of for key, of in kept_of(folder, anew=anew, keep=keep).items() if key not in shared}
    digests = {key: of.digests for key, of in kept.items() if of.digests}
    prints = fingerprints(folder, kept, keep)
    equal = [*equal_weights(prints), *other_beginnings(prints), *equal_parts(digests, "weight matrices", "bytes")]
    # Copies tell nothing of the order of the others.
    known = left_out(equal)
    samples = {key: of.entries for key, of in kept.items() if of.entries and key not in known}
    said = {key: of.surprisal for key, of in kept.items() if of.surprisal is not None and key not in known}
    without = {key: of for key, of in said.items() if key not in samples}
    weights = [*weights_in_order(samples), *of_matrices(samples)]
    outputs = [*equal_outputs(said, prints), *outputs_in_order(without), *jumping_losses(said)]
    return in_order([*equal, *weights, *outputs])


def _shared(folder: RunFolder) -> set[ShardKey]:
    """The checkpoints of a trunk that branches share, of all branches but the first: they are equal by right."""
    entries = folder.read_manifest().get("checkpoints", []) if folder.exists() else []
    return {ShardKey(one["size"], one["seed"], one["step"]) for one in entries if "shared_with" in one}


def _state(folder: RunFolder, shared: set[ShardKey], keep: bool) -> str:
    """Of all that the findings depend on."""
    shards = digests(folder, map(folder.shard, folder.shards()), keep)
    what = [_VERSION, sorted(shards.items()), sorted(key.label for key in shared)]
    return hashlib.blake2b(json.dumps(what).encode(), digest_size=16).hexdigest()


def _kept(folder: RunFolder, of: str) -> list[Finding] | None:
    try:
        kept = read_json(_place(folder))
        return [Finding.from_record(record) for record in kept["findings"]] if kept["of"] == of else None
    except (PhasescopeError, KeyError, TypeError):
        return None  # not there, or damaged: it is made anew


def _place(folder: RunFolder) -> Path:
    return folder.made / "results" / "audit.json"
