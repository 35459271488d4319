"""In which order checkpoints are visited and cohorts compared, by one or by several at once."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError, PhasescopeWarning
from phasescope.visits.checkpoint import Summary, key_of
from phasescope.visits.cohort import is_current
from phasescope.visits.work import Known, fetched_of
from phasescope.workers import Task, working

if TYPE_CHECKING:
    from phasescope.console import Tracker
    from phasescope.store import RunFolder
    from phasescope.suites import Checkpoint
    from phasescope.suites.room import Room
    from phasescope.visits.captured import Captured
    from phasescope.visits.prefetch import Prefetch
    from phasescope.workers import Crew, Ended

_LOOK = 0.1
"""Seconds between two looks whether the next checkpoint has been fetched, while others are probed."""


@dataclass(eq=False)
class Cohort:
    """The seeds of one size at one step, on their way.

    Attributes:
        visiting: those that are to be visited.
        waiting: those that have been neither visited nor found to be there.
        lost: those whose weights cannot be had for the comparison.
    """

    checkpoints: tuple[Checkpoint, ...]
    visiting: frozenset[Checkpoint]
    waiting: set[Checkpoint] = field(init=False)
    lost: set[Checkpoint] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.waiting = set(self.checkpoints)

    @property
    def in_order(self) -> Iterator[Checkpoint]:
        """To be visited, then to be compared only."""
        yield from (checkpoint for checkpoint in self.checkpoints if checkpoint in self.visiting)
        yield from (checkpoint for checkpoint in self.checkpoints if checkpoint not in self.visiting)


@dataclass
class Schedule:
    """Gives a crew visits in order, as checkpoints are fetched, and each cohort's comparison once its seeds are there.

    Comparisons come first, so that what they need can make room for others.
    """

    crew: Crew
    cohorts: Sequence[Cohort]
    comparing: bool
    folder: RunFolder
    prefetch: Prefetch
    room: Room | None
    tracker: Tracker
    done: Captured

    def run(self) -> None:
        """Return when everything is done. Raises what a visit raises, but for a bad checkpoint."""
        self._of = {checkpoint: cohort for cohort in self.cohorts for checkpoint in cohort.checkpoints}
        self._next = deque(checkpoint for cohort in self.cohorts for checkpoint in cohort.in_order)
        self._complete: deque[Cohort] = deque()
        while self._next or self._complete or self.crew.busy:
            if self.crew.free and self._complete:
                self._compare(self._complete.popleft())
            elif self.crew.free and self._next and (self.prefetch.is_here(self._next[0]) or not self.crew.busy):
                self._begin(self._next.popleft())
            elif ended := self.crew.take(_LOOK if self.crew.free and self._next else None):
                self._note(ended)

    def _begin(self, checkpoint: Checkpoint) -> None:
        cohort = self._of[checkpoint]
        visiting = checkpoint in cohort.visiting
        if visiting:
            self._tell(checkpoint.label)
        try:
            self.prefetch.wait_for(checkpoint)
        except BadCheckpointError as error:
            cohort.lost.add(checkpoint)
            if visiting:
                self._visited(checkpoint, Summary(key_of(checkpoint), reason=str(error)))
                return
            said = f"{checkpoint.label} is left out of the comparison: {error}"
            warnings.warn(said, PhasescopeWarning, stacklevel=2)
        if visiting:
            group = f"{checkpoint.size}/step{checkpoint.step}"
            known = Known(fetched_of([checkpoint]))
            self.crew.give(Task("visit", (checkpoint, known), checkpoint.label, _remote([checkpoint]), group))
        else:
            self._there(checkpoint)

    def _note(self, ended: Ended) -> None:
        task, died = ended.task, ended.died
        if task.method == "visit":
            checkpoint = task.arguments[0]
            reason = f"It ended each of the workers that tried to read it (the last one: {died})." if died else ""
            self._visited(checkpoint, Summary(key_of(checkpoint), reason=reason) if died else ended.result)
            return
        if died:
            warnings.warn(
                f"{task.label} was left out: it ended each of the workers that tried (the last one: {died}).",
                PhasescopeWarning,
                stacklevel=2,
            )
        elif ended.result is not None:
            self.done.cohorts.append(ended.result)
        self._release(self._of[task.arguments[0][0]].checkpoints)

    def _visited(self, checkpoint: Checkpoint, summary: Summary) -> None:
        self.done.visits.append(summary)
        self.tracker.advance(failed=bool(summary.reason))
        if not self.comparing:
            self._release([checkpoint])
        self._there(checkpoint)

    def _there(self, checkpoint: Checkpoint) -> None:
        cohort = self._of[checkpoint]
        cohort.waiting.remove(checkpoint)
        if self.comparing and not cohort.waiting:
            self._complete.append(cohort)

    def _compare(self, cohort: Cohort) -> None:
        """Have the KL computed of the seeds that have a shard, and what those say that wait for it.

        A cohort of one seed has no KL.
        """
        known = [c for c in cohort.checkpoints if c not in cohort.lost]
        waiting = [c for c in known if self.folder.waits(key_of(c))]
        there = [c for c in known if c in waiting or self.folder.shard(key_of(c)).is_file()]
        if waiting or (len(there) > 1 and not is_current(there, self.folder)):
            label = f"{there[0].size}/step{there[0].step}: comparing {len(there)} seeds"
            self._tell(label)
            group = f"{there[0].size}/step{there[0].step}"
            self.crew.give(Task("compare", (there, Known(fetched_of(there))), label, _remote(there), group))
        else:
            self._release(cohort.checkpoints)

    def _release(self, checkpoints: Sequence[Checkpoint]) -> None:
        release(checkpoints, self.room)

    def _tell(self, label: str) -> None:
        self.tracker.doing(working(self.crew, label))


def _remote(checkpoints: Sequence[Checkpoint]) -> tuple[Checkpoint, ...]:
    return tuple(checkpoint for checkpoint in checkpoints if not checkpoint.is_local)


def release(checkpoints: Sequence[Checkpoint], room: Room | None) -> None:
    """Let others have the room of checkpoints that are no longer needed."""
    if room is not None:
        room.visited(places_of(checkpoints))


def places_of(checkpoints: Iterable[Checkpoint]) -> Iterator[tuple[str, str]]:
    """As the room in the cache names them."""
    return ((one.location, one.file or one.folder or one.revision or "") for one in checkpoints)
