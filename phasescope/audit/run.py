"""Every rule, on what a run holds: its checkpoints are not needed."""

from __future__ import annotations

from phasescope.audit.files import equal_parts
from phasescope.audit.finding import Finding, in_order, left_out
from phasescope.audit.fingerprints import fingerprints, kept_of
from phasescope.audit.repeated import equal_weights
from phasescope.audit.weights import weights_in_order
from phasescope.store import RunFolder, ShardKey


def audit_run(folder: RunFolder) -> list[Finding]:
    """What the rules find in a run: what is certain first, what is as it should be last."""
    shared = _shared(folder)
    kept = {key: of for key, of in kept_of(folder).items() if key not in shared}
    digests = {key: of.digests for key, of in kept.items() if of.digests}
    equal = [*equal_weights(fingerprints(folder, kept)), *equal_parts(digests, "weight matrices", "bytes")]
    # Copies tell nothing of the order of the others.
    known = left_out(equal)
    samples = {key: of.entries for key, of in kept.items() if of.entries and key not in known}
    return in_order([*equal, *weights_in_order(samples)])


def _shared(folder: RunFolder) -> set[ShardKey]:
    """The checkpoints of a trunk that branches share, of all branches but the first: they are equal by right."""
    entries = folder.read_manifest().get("checkpoints", []) if folder.exists() else []
    return {ShardKey(one["size"], one["seed"], one["step"]) for one in entries if "shared_with" in one}
