"""A capture: visit every checkpoint that has no shard yet, cohort by cohort."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from phasescope.console import Tracker, progress
from phasescope.errors import PhasescopeError
from phasescope.store import SCHEMA, RunFolder, remove_leftovers, write_index
from phasescope.visits.checkpoint import Summary, key_of, visit
from phasescope.visits.cohort import Comparison, is_current, visit_cohort
from phasescope.visits.inputs import prepare_inputs
from phasescope.visits.request import Request

if TYPE_CHECKING:
    from phasescope.suites import Checkpoint, Suite
    from phasescope.texts import Inputs

_LIBRARIES = ("phasescope", "torch", "transformers", "transformer-lens", "nnsight", "numpy", "scipy", "h5py")


@dataclass
class Captured:
    """What a capture did: visits made now, checkpoints that had a shard already, cohorts compared."""

    folder: RunFolder
    visits: list[Summary] = field(default_factory=list)
    cohorts: list[Comparison] = field(default_factory=list)
    already: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[Summary]:
        return [summary for summary in self.visits if summary.reason]

    @property
    def nothing_works(self) -> bool:
        """Whether there were visits, all of them failed, and no shard is there from before."""
        return bool(self.visits) and len(self.failed) == len(self.visits) and not self.already

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "visited": len(self.visits) - len(self.failed),
            "already": self.already,
            "failed": [{"checkpoint": s.key.label, "reason": s.reason} for s in self.failed],
            "cohorts": len(self.cohorts),
            "seconds": round(self.seconds, 3),
        }


def capture_into(suite: Suite, folder: RunFolder, request: Request) -> Captured:
    """Record `suite` into `folder`; what is already there is not done again.

    One bad checkpoint is recorded and passed over. Raises `PhasescopeError` when another capture writes into the same
    folder, when the folder holds a capture that was asked for something else, or when nothing can be done.
    """
    if not len(suite):
        raise PhasescopeError(
            f"There are no checkpoints to visit in {suite.source}. Widen --sizes, --seeds or --steps."
        )
    begun, existed = time.perf_counter(), folder.path.exists()
    with folder.writing():
        try:
            manifest, inputs = _begin(suite, folder, request)
        except PhasescopeError:
            _leave_nothing(folder, existed)
            raise
        done = Captured(folder)
        try:
            _visit_all(suite, inputs, request, done)
        finally:
            gc.unfreeze()
            done.seconds = time.perf_counter() - begun
            _finish(folder, manifest, done)
    return done


def _begin(suite: Suite, folder: RunFolder, request: Request) -> tuple[dict[str, Any], Inputs]:
    """Freeze the inputs and write the manifest, or read both where a capture has begun before."""
    before = folder.read_manifest() if folder.exists() else None
    if before is None:
        # A capture that was killed at its very beginning leaves its inputs, and hidden files: the lock, half a file.
        if any(path.name[0] != "." and path != folder.inputs for path in folder.path.iterdir()):
            raise PhasescopeError(f"{folder.path} is not empty and not a run. Choose another --out.")
        remove_leftovers(folder.path)
    asked, inputs = prepare_inputs(suite, folder, request, before)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    planned = {(c.size, c.seed, c.step): None for c in suite}
    if before is not None:
        planned = {(c["size"], c["seed"], c["step"]): None for c in before["checkpoints"]} | planned
    manifest = {
        "schema": SCHEMA,
        "created": before["created"] if before else now,
        "updated": now,
        "family": suite.family,
        "source": suite.source,
        "engine": request.probes.reader,
        "device": request.probes.device,
        "dtype": asked["dtype"],
        "sites": asked["sites"],
        "inputs": {
            "hash": inputs.hash,
            "source": inputs.source,
            "sequences": inputs.sequences,
            "context": inputs.context,
            "output_sequences": inputs.output_sequences,
            "positions": request.positions,
            "vocabulary": inputs.vocabulary,
            "counts_source": inputs.counts_source,
        },
        "asked": asked,
        "versions": {name: version(name) for name in _LIBRARIES},
        "sizes": list(dict.fromkeys([*(before or {}).get("sizes", []), *suite.sizes])),
        "checkpoints": [{"size": size, "seed": seed, "step": step} for size, seed, step in planned],
        "failed": (before or {}).get("failed", []),
        "seconds": (before or {}).get("seconds", 0.0),
    }
    folder.write_manifest(manifest)
    return manifest, inputs


def _leave_nothing(folder: RunFolder, existed: bool) -> None:
    """Remove a folder that this capture made and could not use."""
    if not existed and not folder.exists():
        shutil.rmtree(folder.path, ignore_errors=True)


def _visit_all(suite: Suite, inputs: Inputs, request: Request, done: Captured) -> None:
    folder, probes = done.folder, request.probes
    pending = {checkpoint for checkpoint in suite if not folder.shard(key_of(checkpoint)).is_file()}
    done.already = len(suite) - len(pending)
    with progress(len(pending), "reading inputs", "checkpoints") as tracker:
        for _, _, checkpoints in suite.cohorts():
            for checkpoint in checkpoints:
                if checkpoint not in pending:
                    continue
                tracker.doing(checkpoint.label)
                summary = visit(checkpoint, inputs, probes, folder)
                done.visits.append(summary)
                # What is there now stays: the next collection need only look at what the next visit makes.
                gc.freeze()
                tracker.advance(failed=bool(summary.reason))
            if probes.comparing:
                done.cohorts += _compare(checkpoints, inputs, request, folder, tracker)


def _compare(
    checkpoints: Sequence[Checkpoint], inputs: Inputs, request: Request, folder: RunFolder, tracker: Tracker
) -> Iterator[Comparison]:
    """The cohort's KL, of the seeds that have a shard; a cohort of one seed has none."""
    present = [checkpoint for checkpoint in checkpoints if folder.shard(key_of(checkpoint)).is_file()]
    if len(present) > 1 and not is_current(present, folder):
        tracker.doing(f"{present[0].size}/step{present[0].step}: comparing {len(present)} seeds")
        yield visit_cohort(present, inputs, request.probes, folder)


def _finish(folder: RunFolder, manifest: dict[str, Any], done: Captured) -> None:
    """Write the index and what failed; also when the capture was interrupted."""
    failed = {(f["size"], f["seed"], f["step"]): f["reason"] for f in manifest["failed"]}
    failed |= {(s.key.size, s.key.seed, s.key.step): s.reason for s in done.visits}
    manifest["failed"] = [
        {"size": size, "seed": seed, "step": step, "reason": reason}
        for (size, seed, step), reason in failed.items()
        if reason
    ]
    manifest["seconds"] = round(manifest["seconds"] + done.seconds, 3)
    folder.write_manifest(manifest)
    write_index(folder)
