"""A second visit: the checkpoints of a run are asked for behaviour that they were not asked for before."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from phasescope.console import none_of
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.suites.room import Room
from phasescope.suites.transfer import Transfer, transferring
from phasescope.visits.behaviour.making import Making
from phasescope.visits.behaviour.scoring import freeze_items, make_items, parse_specs, unscored
from phasescope.visits.capture import finish, visit_all
from phasescope.visits.captured import Captured
from phasescope.visits.checkpoint import Summary, key_of
from phasescope.visits.prefetch import require_room
from phasescope.visits.recorded import reading_of, suite_of
from phasescope.visits.request import Request
from phasescope.workers import ALONE, Workforce

if TYPE_CHECKING:
    from phasescope.probes import Probes
    from phasescope.store import RunFolder, ShardKey
    from phasescope.suites import Suite


def revisit(
    folder: RunFolder,
    behaviour: Sequence[str],
    probes: Probes,
    suite: str | Suite | None = None,
    cache_limit: int | None = None,
    workers: Workforce = ALONE,
) -> Captured:
    """Ask every checkpoint that has a shard for what of the behaviour it has no scores on; only those are loaded.

    behaviour: as for a capture: `minimal_pairs=FILE`, `all`.
    probes: engine, device and batch to read with, and whether code that comes with checkpoints is trusted; type and
        modules are as the run was captured with.
    suite: where the checkpoints are; None: in the folder where they were when the run was captured.
    cache_limit, workers: as for a capture.

    One bad checkpoint is recorded and passed over. Raises `PhasescopeError` when another capture writes into the same
    folder, for behaviour that cannot be made, and for a run whose checkpoints are not where they were.
    """
    from phasescope.texts import Inputs

    if not behaviour:
        raise BadArgumentError("A visit needs something to ask for: say --behaviour minimal_pairs, or --behaviour all.")
    workers.require(device=probes.device)
    begun = time.perf_counter()
    manifest = folder.read_manifest()
    if manifest["asked"].get("remote"):
        raise PhasescopeError(
            f"{folder.path} was read on NDIF, where models are not asked for behaviour. Capture the suite into another "
            "run, without --remote."
        )
    probes = replace(probes, compare_seeds=False, **reading_of(manifest))
    parse_specs(behaviour, probes)
    room = None if cache_limit is None else Room(cache_limit)
    opened = suite_of(manifest, suite) if suite is None or isinstance(suite, str) else suite
    with folder.writing(), transferring(Transfer(room=room)) as transfer:
        chosen, lost = _captured_part(opened, folder)
        inputs = Inputs.load(folder.inputs)
        sets = make_items(behaviour, folder, Making(chosen, inputs, probes))
        if room is not None:
            require_room([[c] for c in chosen if unscored(key_of(c), sets, folder)], False, room)
        freeze_items(sets, folder)
        done = Captured(folder)
        gone = f"It is captured, but it is no longer in {chosen.source}: it could not be asked for behaviour."
        done.visits += [Summary(key, reason=gone) for key in lost if unscored(key, sets, folder)]
        try:
            visit_all(chosen, inputs, Request(probes=probes), sets, done, transfer, workers)
        finally:
            done.seconds = time.perf_counter() - begun
            finish(folder, manifest, done)
    return done


def _captured_part(suite: Suite, folder: RunFolder) -> tuple[Suite, list[ShardKey]]:
    """The checkpoints of a suite that the run has shards of; and those shards whose checkpoints it has not."""
    there = set(folder.shards())
    chosen = tuple(checkpoint for checkpoint in suite if key_of(checkpoint) in there)
    if not there:
        raise PhasescopeError(f"{folder.path} has no shards yet. Run phasescope capture into it first.")
    if not chosen:
        raise PhasescopeError(
            f"{none_of(len(there), 'checkpoint')} of this run is in {suite.source}. If they are elsewhere now, say "
            "where: --suite."
        )
    return replace(suite, checkpoints=chosen), sorted(there - {key_of(checkpoint) for checkpoint in chosen})
