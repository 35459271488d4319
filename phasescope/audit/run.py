"""Every rule, on what a run holds: its checkpoints are not needed."""

from __future__ import annotations

from phasescope.audit.finding import Finding
from phasescope.audit.fingerprints import fingerprints
from phasescope.audit.repeated import equal_weights
from phasescope.store import RunFolder


def audit_run(folder: RunFolder) -> list[Finding]:
    """What the rules find in a run: what is certain first, what is as it should be last."""
    return equal_weights(fingerprints(folder))
