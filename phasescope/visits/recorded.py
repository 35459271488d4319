"""The suite that a run was captured from, opened again.

A run may be somebody else's, so nothing that runs code, fetches or connects is taken from it: that is said anew by each
call. What is taken: which checkpoints there are, the folder where they lay, and how their tensors are read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import none_of
from phasescope.errors import PhasescopeError
from phasescope.visits.training.run import SOURCE

if TYPE_CHECKING:
    from phasescope.probes import Probes
    from phasescope.suites import Suite


def suite_of(manifest: dict[str, Any], source: str | None = None) -> Suite:
    """The checkpoints of a run's manifest, where they can be loaded now.

    source: the suite; None: the folder that the manifest names. A suite on the hub has to be named here, for nothing
        is fetched because a run says so.

    Raises `PhasescopeError` for a run that was recorded while its models trained, for a suite that is no folder on this
    machine and is not named, and for one that is gone or holds none of the checkpoints.
    """
    from phasescope.suites import open_suite

    if source is None and manifest["source"] == SOURCE:
        raise PhasescopeError(
            "This run was recorded while its models trained, and their checkpoints are not known: if they were saved, "
            "name the suite with --suite."
        )
    if source is None and not _is_folder(manifest["source"]):
        raise PhasescopeError(
            f"This run was captured from {manifest['source']}, which is no folder here. If the suite has moved, name "
            f"its new place with --suite; if it is on the hub, say --suite {manifest['source']} (in Python, suite=…): "
            "nothing is fetched because a run says so."
        )
    try:
        reading = {"config": manifest.get("config"), "prefix": manifest.get("prefix", "")}
        suite = open_suite(source or Path(manifest["source"]), **reading)
    except PhasescopeError as error:
        if source is not None:
            raise
        raise PhasescopeError(f"{error} If the suite has moved, name its new place with --suite.") from error
    recorded = {(c["size"], c["seed"], c["step"]) for c in manifest["checkpoints"]}
    there = tuple(c for c in suite if (c.size, c.seed, c.step) in recorded)
    if not there:
        raise PhasescopeError(
            f"{none_of(len(recorded), 'checkpoint')} of this run is in {suite.source}: name the right suite with "
            "--suite."
        )
    return replace(suite, checkpoints=there)


def reading_of(manifest: dict[str, Any]) -> dict[str, Any]:
    """How a run's models were read, for `Probes`: in which number format, by which modules; and nothing else of it."""
    asked = manifest["asked"]
    dtype = asked.get("dtype", "as stored")
    return {"dtype": None if dtype == "as stored" else dtype, "modules": tuple(asked.get("modules", ()))}


def probes_of(manifest: dict[str, Any], **reading: Any) -> Probes:
    """Probes that read a run's models as they were read for it.

    reading: engine, device, trust_remote_code, as this call says.
    """
    from phasescope.probes import Probes

    return Probes(**reading_of(manifest), **reading)


def _is_folder(source: object) -> bool:
    return isinstance(source, str) and bool(source) and Path(source).expanduser().is_dir()
