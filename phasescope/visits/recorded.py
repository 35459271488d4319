"""The suite that a run was captured from, opened again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.visits.live_run import SOURCE

if TYPE_CHECKING:
    from phasescope.suites import Suite


def suite_of(manifest: dict[str, Any], source: str | None = None) -> Suite:
    """The checkpoints of a run's manifest, where they can be loaded now.

    source: the suite, where it is no longer at the place that the manifest names.

    Raises `PhasescopeError` for a run that was recorded while its models trained, or a suite that is gone or holds
    none of the checkpoints.
    """
    from phasescope.suites import Suite, open_suite

    if source is None and manifest["source"] == SOURCE:
        raise PhasescopeError(
            "This run was recorded while its models trained, and their checkpoints are not known: if they were saved, "
            "name the suite with --suite."
        )
    try:
        suite = open_suite(source or manifest["source"])
    except PhasescopeError as error:
        if source is not None:
            raise
        raise PhasescopeError(f"{error} If the suite has moved, name its new place with --suite.") from error
    recorded = {(c["size"], c["seed"], c["step"]) for c in manifest["checkpoints"]}
    there = tuple(c for c in suite if (c.size, c.seed, c.step) in recorded)
    if not there:
        raise PhasescopeError(
            f"None of the {len(recorded)} checkpoints of this run is in {suite.source}: name the right suite with "
            "--suite."
        )
    return Suite(suite.family, suite.source, there)
