"""Comparing what a run holds across steps and sizes: after a capture, or at any time later."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import counted, progress
from phasescope.errors import BadArgumentError, PhasescopeError, PhasescopeWarning
from phasescope.store import RunFolder, write_index
from phasescope.store.carried import parcel_of, receive
from phasescope.store.files import Identity, identity_of, writing_for
from phasescope.store.missing import missing_shards
from phasescope.visits.comparing import State, parse_across, plan, try_comparing
from phasescope.visits.recorded import suite_of
from phasescope.visits.training.run import SOURCE
from phasescope.visits.work import OF_COMPARISONS, places_on_disk
from phasescope.workers import ALONE, Task, Workforce, done_by

if TYPE_CHECKING:
    from phasescope.console import Tracker
    from phasescope.store import ShardKey
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs


@dataclass
class Compared:
    """What came of it: comparisons made now, there from before, and left out because a checkpoint cannot be read."""

    made: int = 0
    already: int = 0
    left_out: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.made + self.already + self.left_out

    def __iadd__(self, other: Compared) -> Compared:
        self.made += other.made
        self.already += other.already
        self.left_out += other.left_out
        return self

    def as_record(self) -> dict[str, int]:
        """As plain values."""
        return asdict(self)


def compare_run(
    folder: RunFolder,
    across: Sequence[str] = ("steps", "sizes"),
    *,
    suite: str | None = None,
    device: str = "auto",
    trust_remote_code: bool = False,
    workers: Workforce = ALONE,
) -> Compared:
    """Compare all checkpoints of a run across steps, sizes or both; what is there already is not done again.

    Args:
        suite: where the checkpoints are; None: in the folder that the run was captured from.
        device: what the KL is computed on.
        trust_remote_code: run the Python code that comes with a checkpoint, whatever the run was captured with.
        workers: who compares: a training each, and the sizes of a seed at a step.

    Raises:
        PhasescopeError: the run holds no final hidden states, its checkpoints are nowhere, or somebody writes into it.
    """
    workers.require(device=device)
    wanted = parse_across(across)
    if not wanted:
        raise BadArgumentError(
            "Nothing is to be compared: choose --across steps, sizes, or both. Seeds need no asking."
        )
    if lost := missing_shards(folder, folder.read_manifest()).lost:
        warnings.warn(
            f"{folder.path} has lost {counted(len(lost), 'shard')} that it had (first: {lost[0].label}): they are not "
            "compared. Restore them, or run the same capture again.",
            PhasescopeWarning,
            stacklevel=2,
        )
    with folder.writing():
        try:
            return compare_held(
                folder, wanted, suite=suite, device=device, trust_remote_code=trust_remote_code, workers=workers
            )
        finally:
            write_index(folder)


def compare_held(
    folder: RunFolder,
    across: Sequence[str],
    *,
    suite: str | None,
    device: str,
    trust_remote_code: bool,
    workers: Workforce = ALONE,
    done_with: Callable[[Sequence[Checkpoint]], None] | None = None,
) -> Compared:
    """As `compare_run`, for whoever may write into the run already.

    done_with: told of checkpoints whose weights have been read, so that others have their room in the hub's cache; then
        it is one process that compares.
    """
    from phasescope.suites.device import resolve_device
    from phasescope.texts import Inputs

    place = device if workers.cluster is not None else resolve_device(device)
    inputs, manifest = Inputs.load(folder.inputs), folder.read_manifest()
    checkpoints = _checkpoints(manifest, _with_hidden_states(folder), suite)
    work = _Comparing(folder, identity_of(folder.path), inputs, device, trust_remote_code)
    total = sum(1 for _ in plan([State(one, folder, place, trust_remote_code) for one in checkpoints], across))
    with progress(total, "comparing", "comparisons") as tracker:
        if workers.alone or done_with is not None:
            return work.compare(checkpoints, across, tracker, done_with)
        return _compared_by(workers, work, checkpoints, across, tracker)


def _compared_by(
    workers: Workforce, work: _Comparing, checkpoints: Sequence[Checkpoint], across: Sequence[str], tracker: Tracker
) -> Compared:
    groups: dict[tuple[object, ...], list[Checkpoint]] = {}
    for one in checkpoints:
        for way, of in (("steps", (one.size, one.seed)), ("sizes", (one.seed, one.step))):
            if way in across:
                groups.setdefault((way, *of), []).append(one)
    tasks = [
        Task("compare", (group, (str(way),)), f"{way} of {', '.join(map(str, of))}")
        for (way, *of), group in groups.items()
    ]
    found = Compared()
    sources = places_on_disk(one for one in checkpoints if one.location != SOURCE)
    with workers.crew(work, device=work.device, folder=work.folder.path, sources=sources) as crew:
        for ended in done_by(crew, tasks, tracker.doing):
            if ended.died:
                raise PhasescopeError(
                    f"Comparing {ended.task.label} ended each of the workers that tried (the last one: {ended.died}). "
                    "Choose fewer --workers: what was compared is kept."
                )
            found += ended.result
            tracker.advance(ended.result.total)
    return found


@dataclass(frozen=True)
class _Comparing:
    """Comparisons within one run, in this process or in another one that writes for it."""

    folder: RunFolder
    identity: Identity
    inputs: Inputs
    device: str
    trust_remote_code: bool

    def compare(
        self,
        checkpoints: Sequence[Checkpoint],
        across: Sequence[str],
        tracker: Tracker | None = None,
        done_with: Callable[[Sequence[Checkpoint]], None] | None = None,
    ) -> Compared:
        from phasescope.suites.device import resolve_device

        found, place = Compared(), resolve_device(self.device)
        states = [State(checkpoint, self.folder, place, self.trust_remote_code) for checkpoint in checkpoints]
        with writing_for(self.folder.path, self.identity):
            for planned in plan(states, across):
                if tracker is not None:
                    tracker.doing(planned.label)
                if planned.is_current:
                    found.already += 1
                elif try_comparing(planned, self.inputs):
                    found.made += 1
                    if done_with is not None:
                        done_with([planned.states[0].checkpoint])
                else:
                    found.left_out += 1
                if tracker is not None:
                    tracker.advance()
        return found

    def at(self, folder: Path) -> _Comparing:
        """The same for the run's folder as this machine sees it, or for another folder."""
        return replace(self, folder=RunFolder(folder), identity=identity_of(folder))

    def done_here(self, method: str, arguments: tuple[Any, ...]) -> None:
        """No comparison is better made by the one who gives the work."""

    def parcel(self, method: str, arguments: tuple[Any, ...]) -> dict[str, bytes]:
        """What a task reads of the shards, and which of its comparisons are there already."""
        checkpoints, across = arguments
        states = [State(one, self.folder, self.device, self.trust_remote_code) for one in checkpoints]
        there = [planned.path for planned in plan(states, across)]
        shards = parcel_of(self.folder, [self.folder.shard(state.key) for state in states], OF_COMPARISONS)
        return shards | parcel_of(self.folder, there, ("sizes",))

    def received(self, name: str, chunks: Iterable[bytes]) -> None:
        """Put a file that was made elsewhere into the run."""
        with writing_for(self.folder.path, self.identity):
            receive(self.folder.path / name, chunks)


def _with_hidden_states(folder: RunFolder) -> list[ShardKey]:
    keys = []
    for key in folder.shards():
        with folder.open_shard(key) as shard:
            if "outputs/final_hidden" in shard.names("outputs"):
                keys.append(key)
    if not keys:
        raise PhasescopeError(
            f"{folder.path} holds no final hidden states, from which models are compared. Capture it anew, with "
            "outputs and without --no-compare-seeds."
        )
    return keys


def _checkpoints(manifest: dict[str, Any], keys: Sequence[ShardKey], suite: str | None) -> list[Checkpoint]:
    """The checkpoints of these shards, smallest size first."""
    from phasescope.suites import Checkpoint

    order = {size: place for place, size in enumerate(manifest["sizes"])}
    ordered = sorted(keys, key=lambda key: (order.get(key.size, len(order)), key.seed, key.step))
    source = suite or str(manifest["source"])
    if source == SOURCE:  # Shards that were made while a model trained hold what is needed.
        return [Checkpoint(str(manifest["family"]), key.size, key.seed, key.step, SOURCE) for key in ordered]
    opened = suite_of(manifest, suite)
    return [opened.checkpoint(key.size, key.seed, key.step) for key in ordered]
