"""A capture: visit every checkpoint that has no shard yet, or no scores, cohort by cohort."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.audit import audit_run
from phasescope.console import progress
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.store import RunFolder, ShardKey, write_index
from phasescope.store.files import identity_of, remove_leftovers, remove_own
from phasescope.suites.room import Room
from phasescope.suites.transfer import Transfer, transferring
from phasescope.visits.behaviour.making import Making
from phasescope.visits.behaviour.scoring import freeze_items, make_items, parse_specs, unscored
from phasescope.visits.captured import Captured
from phasescope.visits.checkpoint import key_of
from phasescope.visits.cohort import is_current
from phasescope.visits.compare import compare_held
from phasescope.visits.comparing import parse_across
from phasescope.visits.inputs import prepare_inputs
from phasescope.visits.listed import ask_listings, note_listed
from phasescope.visits.manifest import describe, manifest_before, note_outcomes
from phasescope.visits.prefetch import Prefetch, require_room
from phasescope.visits.request import Request
from phasescope.visits.schedule import Cohort, Schedule, release
from phasescope.visits.supply import Supply
from phasescope.visits.twins import Twin
from phasescope.visits.work import Visiting, places_on_disk
from phasescope.workers import ALONE, Workforce

if TYPE_CHECKING:
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint, Suite
    from phasescope.texts import Inputs, Items


def capture_into(
    suite: Suite,
    folder: RunFolder,
    request: Request,
    cache_limit: int | None = None,
    across: Sequence[str] = (),
    workers: Workforce = ALONE,
) -> Captured:
    """Record `suite` into `folder`; what is already there is not done again.

    cache_limit: bytes that may be fetched from the hub and kept in its cache at any time; checkpoints that were
        visited make room for others. None: everything stays. What lay in the cache before stays in any case.
    across: compare what the run holds afterwards across `steps`, across `sizes`, or both. Of checkpoints on the hub
        that made room for others, the weights are fetched once more for it.

    One bad checkpoint is recorded and passed over. Raises `PhasescopeError` when another capture writes into the same
    folder, when the folder holds a capture that was asked for something else, or when nothing can be done.
    """
    if not len(suite):
        raise PhasescopeError(
            f"There are no checkpoints to visit in {suite.source}. Widen --sizes, --seeds or --steps."
        )
    if (across := parse_across(across)) and not request.probes.comparing:
        raise BadArgumentError(
            "Comparing needs the final hidden states: leave out --no-compare-seeds, --no-outputs and --remote, or "
            "leave out --compare."
        )
    workers.require(remote=request.probes.remote, device=request.probes.device)
    begun, existed = time.perf_counter(), folder.path.exists()
    listed, twins = ask_listings(suite, folder, request.probes)
    room = None if cache_limit is None else Room(cache_limit)
    with folder.writing(new=True), transferring(Transfer(room=room)) as transfer:
        try:
            if room is not None:
                _require_room(suite, folder, request.probes, room)
            manifest, inputs, behaviour = _begin(suite, folder, request)
            note_listed(manifest, listed)
            folder.write_manifest(manifest)
        except PhasescopeError:
            _leave_nothing(folder, existed)
            raise
        done = Captured(folder)
        try:
            visit_all(suite, inputs, request, behaviour, done, transfer, workers, twins)
            if across and not done.nothing_works:
                done.compared = compare_held(
                    folder,
                    across,
                    suite=suite.source,
                    device=request.probes.device,
                    trust_remote_code=request.probes.trust_remote_code,
                    workers=workers,
                    done_with=None if room is None else lambda checkpoints: release(checkpoints, room),
                )
        finally:
            done.seconds = time.perf_counter() - begun
            finish(folder, manifest, done)
        audit_run(folder, keep=True)  # so that those who look at the run write nothing
    return done


def _begin(suite: Suite, folder: RunFolder, request: Request) -> tuple[dict[str, Any], Inputs, list[Items]]:
    """Freeze the inputs and items, and write the manifest; or read them where a capture has begun before."""
    parse_specs(request.behaviour, request.probes)
    before = manifest_before(folder)
    asked, inputs = prepare_inputs(suite, folder, request, before)
    behaviour = make_items(request.behaviour, folder, Making(suite, inputs, request.probes))
    manifest = describe(suite, request, asked, inputs, before)
    folder.write_manifest(manifest)
    freeze_items(behaviour, folder)
    return manifest, inputs, behaviour


def _leave_nothing(folder: RunFolder, existed: bool) -> None:
    """Remove a folder that this capture made and could not use."""
    if not existed and not folder.exists():
        remove_own(folder.path)


def visit_all(
    suite: Suite,
    inputs: Inputs,
    request: Request,
    behaviour: Sequence[Items],
    done: Captured,
    transfer: Transfer,
    workers: Workforce = ALONE,
    twins: Mapping[ShardKey, Twin] | None = None,
) -> None:
    """Visit every checkpoint that lacks its shard, or scores on some of the items; compare the seeds of each cohort.

    workers: who does it; of a cluster, each node fetches within the limit that the transfer has here.
    twins: those whose weights are another's; they are fetched only where the seeds of their cohort are compared.
    """
    folder, probes = done.folder, request.probes
    pending = _pending(suite, folder)
    visiting = pending | {checkpoint for checkpoint in suite if unscored(key_of(checkpoint), behaviour, folder)}
    done.already = len(suite) - len(visiting)
    needed = [
        one
        for _, _, cohort in suite.cohorts()
        for one in _needed(cohort, visiting, pending, probes, folder)
        if key_of(one) not in (twins or {}) or (probes.comparing and len(cohort) > 1)
    ]
    cohorts = [Cohort(cohort, frozenset(visiting.intersection(cohort))) for _, _, cohort in suite.cohorts()]
    # Nodes of a cluster may see no files of the run but those that they make.
    together = frozenset() if workers.cluster is not None else _together(suite, probes, twins or {})
    work = Visiting(folder, identity_of(folder.path), inputs, probes, tuple(behaviour), twins or {}, together)
    with progress(len(visiting), "reading inputs", "checkpoints") as tracker:
        transfer.tell = tracker.beside
        if transfer.room is not None:
            transfer.room.visited()  # What the inputs needed.
        room, supplier = transfer.room, None
        if workers.cluster is not None:  # Its nodes fetch for themselves, each within the limit.
            supplier = Supply(None if room is None else room.limit) if needed else None
            room, needed = None, []
        with (
            Prefetch(needed, transfer, ahead=workers.number or 1) as prefetch,
            workers.crew(
                work,
                device=probes.device,
                folder=folder.path,
                sources=places_on_disk(visiting),
                supplier=supplier,
                tell=tracker.beside,
            ) as crew,
        ):
            Schedule(crew, cohorts, probes.comparing, folder, prefetch, room, tracker, done).run()


def _together(suite: Suite, probes: Probes, twins: Mapping[ShardKey, Twin]) -> frozenset[ShardKey]:
    """The checkpoints whose outputs are computed with those of the other seeds of their cohort: of one unembedding.

    They come from the final hidden states that are kept, so only where these are kept as they are. What others are
    copied from does not wait.
    """
    if not probes.comparing or probes.storage != "float32" or probes.next_byte:
        return frozenset()
    several = {key_of(one) for _, _, cohort in suite.cohorts() if len(cohort) > 1 for one in cohort}
    return frozenset(several - {twin.of for twin in twins.values()})


def _require_room(suite: Suite, folder: RunFolder, probes: Probes, room: Room) -> None:
    pending = _pending(suite, folder)
    cohorts = [list(_needed(checkpoints, pending, pending, probes, folder)) for _, _, checkpoints in suite.cohorts()]
    require_room(cohorts, probes.comparing, room)


def _pending(suite: Suite, folder: RunFolder) -> set[Checkpoint]:
    return {checkpoint for checkpoint in suite if not folder.shard(key_of(checkpoint)).is_file()}


def _needed(
    cohort: Sequence[Checkpoint],
    visiting: set[Checkpoint],
    pending: set[Checkpoint],
    probes: Probes,
    folder: RunFolder,
) -> Iterator[Checkpoint]:
    """The checkpoints of a cohort whose weights will be read here, in order: to be visited, then to be compared.

    pending: those that have no shard yet, and so change the comparison.
    """
    if probes.remote:
        return
    yield from (checkpoint for checkpoint in cohort if checkpoint in visiting)
    visited = [checkpoint for checkpoint in cohort if checkpoint not in visiting]
    remote = any(not checkpoint.is_local for checkpoint in visited)  # Others need not be fetched for it.
    if remote and probes.comparing and (any(one in pending for one in cohort) or not is_current(cohort, folder)):
        yield from visited


def finish(folder: RunFolder, manifest: dict[str, Any], done: Captured) -> None:
    """Write the index and what failed; also when the capture was interrupted."""
    remove_leftovers(folder.path)
    folder.remove_waiting()
    note_outcomes(manifest, done.visits, done.seconds)
    folder.write_manifest(manifest)
    write_index(folder)
