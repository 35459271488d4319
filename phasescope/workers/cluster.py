"""A crew on a Ray cluster: workers on its nodes, for which each node fetches what they need.

A worker is an actor, begun when there is something for it to do. Tasks that need something fetched are given to a node
before a worker is free there, so that it is fetched while others work. Files are written to the work's folder where a
node sees it; else a worker writes into a folder of its own, from where they are read here.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from phasescope.console import counted, stderr
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.workers.crew import Ended, Task
from phasescope.workers.portable import Portable, Supplier
from phasescope.workers.processes import PATIENCE, TRIES
from phasescope.workers.ray_nodes import Node, connected, first_line, is_alive, on, rooms, shares, usable_nodes
from phasescope.workers.seat import Depot, Seat
from phasescope.workers.worker import Answer, taken

_CHUNK = 16 << 20
"""Bytes of a file that are read from a node at once."""
_AGAIN = 0.5
"""Seconds after which a depot is told again that nobody works on its node."""


@dataclass(eq=False)
class _Given:
    """A task, and what is known of what it needs, once that is there."""

    task: Task
    known: tuple[Any, ...] = ()

    @property
    def arguments(self) -> tuple[Any, ...]:
        return (*self.task.arguments[:-1], *self.known) if self.known else self.task.arguments


@dataclass(eq=False)
class _Worker:
    """beginning: its process's number, once it has begun. doing: what comes of what it was given."""

    actor: Any
    beginning: Any
    given: _Given | None = None
    doing: Any = None

    def process(self) -> int | None:
        """The number of its process; None where it has not begun, or died before."""
        import ray

        with suppress(ray.exceptions.RayError):
            if ray.wait([self.beginning], timeout=0)[0]:
                return int(ray.get(self.beginning))
        return None


@dataclass(eq=False)
class _Place:
    """A node, how many workers it has room for, and what it was given: to fetch for, to begin, to do."""

    node: Node
    room: int
    depot: Any
    workers: list[_Worker] = field(default_factory=list)
    fetching: dict[Any, _Given] = field(default_factory=dict)
    ready: deque[_Given] = field(default_factory=deque)
    latest: str = ""
    fetched: int = 0
    released: int = 0

    def release(self, task: Task) -> None:
        """What a task needed is no longer needed by it."""
        if task.needs:
            self.depot.release.remote(task.needs)
            self.released += 1

    @property
    def busy(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.given is not None]

    @property
    def given(self) -> list[_Given]:
        return [*(w.given for w in self.workers if w.given is not None), *self.ready, *self.fetching.values()]


class Cluster:
    """So many workers at most on the nodes of a cluster; for its arguments see `Workforce.crew`.

    A task whose worker dies is given to another, on another node if there is one; one that has ended three is given
    back as such. What a node had when it was lost is given to others, however often.
    """

    def __init__(
        self,
        work: object,
        address: str,
        number: int | None = None,
        *,
        gpus: bool = False,
        folder: Path | None = None,
        sources: Sequence[Path] = (),
        supplier: Supplier | None = None,
        tell: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.size = 0
        self._work, self._address, self._number, self._gpus = work, address, number, gpus
        self._folder, self._sources, self._supplier, self._tell = folder, sources, supplier, tell
        self._places: list[_Place] = []
        self._deaths: Counter[Task] = Counter()
        self._shunned: dict[Task, set[str]] = {}
        self._done: deque[Ended] = deque()
        self._stillborn = 0

    @property
    def free(self) -> int:
        ahead = self.size if self._supplier else 0
        return max(self.size + ahead - self.busy, 0)

    @property
    def busy(self) -> int:
        return sum(len(place.given) for place in self._places) + len(self._done)

    def give(self, task: Task) -> None:
        if isinstance(self._work, Portable) and any(place.node.away for place in self._places):
            result = self._work.done_here(task.method, task.arguments)
            if result is not None:
                self._done.append(Ended(task, result))
                return
        place = min(self._places, key=lambda place: self._rank(place, task))
        place.latest = task.group
        if task.needs and self._supplier is not None:
            place.fetching[place.depot.fetch.remote(task.needs)] = _Given(task)
        else:
            place.ready.append(_Given(task))
        self._begin_ready(place)

    def take(self, timeout: float | None = None) -> Ended | None:
        import ray

        while self.busy:
            if self._done:
                return self._done.popleft()
            doing = {worker.doing: (place, worker) for place in self._places for worker in place.busy}
            fetching = {ref: place for place in self._places for ref in place.fetching}
            idle = [place for place in self._places if place.fetching and not place.busy]
            for place in idle:
                place.depot.hurry.remote(place.released)
            # What is told a depot may come too early for what it is about to do: then it is told again.
            patience = _AGAIN if idle and timeout is None else timeout
            ready, _ = ray.wait([*doing, *fetching], num_returns=1, timeout=patience)
            if not ready:
                if timeout is None:
                    continue
                return None
            if ready[0] in fetching:
                self._fetched(fetching[ready[0]], ready[0])
            elif ended := self._answer_of(*doing[ready[0]]):
                return ended
        return None

    def __enter__(self) -> Cluster:
        import ray

        with ExitStack() as stack:
            stack.enter_context(connected(self._address))
            nodes = usable_nodes(self._folder, self._sources, isinstance(self._work, Portable))
            share = shares(nodes, self._number, self._gpus)
            self.size, self._share = share.workers, share
            self._packed = ray.put(pickle.dumps(self._work))
            supplier = None if self._supplier is None else pickle.dumps(self._supplier)
            depot = ray.remote(Depot)
            for node, room in zip(nodes, rooms(nodes, share), strict=True):
                if room:
                    made = depot.options(num_cpus=0, max_concurrency=4, scheduling_strategy=on(node.id))
                    self._places.append(_Place(node, room, made.remote(supplier)))
            self._require_own_folders()
            self._say_where()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *problem: object) -> None:
        """End all: those who do nothing by themselves, the others between two lines of Python, at last by force."""
        import ray

        try:
            doing = [worker.doing for place in self._places for worker in place.busy]
            for place in self._places:
                begun = [process for worker in place.workers if (process := worker.process()) is not None]
                with suppress(ray.exceptions.RayError):
                    ray.get(place.depot.end.remote(begun), timeout=PATIENCE)
            if doing:
                ray.wait(doing, num_returns=len(doing), timeout=PATIENCE)
        finally:
            for place in self._places:
                for actor in (*(worker.actor for worker in place.workers), place.depot):
                    ray.kill(actor)
            self._places = []
            self._stack.close()

    def _rank(self, place: _Place, task: Task) -> tuple[bool, float, bool]:
        """The place with the least is given the task: it did not end there; there is room; it has what it needs."""
        over = max(len(place.given) + 1 - place.room, 0) / place.room
        return place.node.id in self._shunned.get(task, ()), over, not task.group or place.latest != task.group

    def _begin_ready(self, place: _Place) -> None:
        """Have what is ready done by those who are free."""
        while place.ready:
            worker = next((worker for worker in place.workers if worker.given is None), None)
            if worker is None and len(place.workers) == place.room:
                return
            worker = worker or self._begin(place)
            given = worker.given = place.ready.popleft()
            parcel = {}
            if place.node.away and isinstance(self._work, Portable):
                parcel = dict(self._work.parcel(given.task.method, given.arguments))
            worker.doing = worker.actor.do.remote(given.task.method, given.arguments, parcel)

    def _begin(self, place: _Place) -> _Worker:
        import ray

        actor: Any = ray.remote(Seat).options(
            num_cpus=self._share.cores,
            num_gpus=self._share.gpus,
            max_restarts=0,
            scheduling_strategy=on(place.node.id),
        )
        seat = actor.remote()
        folder = None if self._folder is None else str(self._folder)
        worker = _Worker(seat, seat.begin.remote(self._packed, folder, place.node.away, os.getcwd()))
        place.workers.append(worker)
        return worker

    def _fetched(self, place: _Place, ref: Any) -> None:
        """What a task needs is there: it may begin."""
        import ray

        try:
            known, place.fetched = ray.get(ref)
        except ray.exceptions.RayTaskError as error:
            if not isinstance(error.cause, PhasescopeError):
                raise
            raise PhasescopeError(f"On the node {place.node.name}: {error.cause}") from error
        except ray.exceptions.RayError:
            self._lost(place)
            return
        place.ready.append(_Given(place.fetching.pop(ref).task, (known,)))
        self._tell(f"{sum(place.fetched for place in self._places) / 1e9:.2f} GB fetched")
        self._begin_ready(place)

    def _answer_of(self, place: _Place, worker: _Worker) -> Ended | None:
        import ray

        assert worker.given is not None
        task = worker.given.task
        try:
            packed, made = ray.get(worker.doing)
            for name, size in made:
                assert isinstance(self._work, Portable)
                self._work.received(name, _chunks(worker, name, size))
        except ray.exceptions.RayTaskError:
            ray.get(worker.beginning)  # What keeps a worker from beginning is what has to be said.
            raise
        except ray.exceptions.RayError as error:
            return self._dead(place, worker, error)
        self._stillborn = 0
        worker.given = None
        place.release(task)
        self._begin_ready(place)
        answer: Answer = pickle.loads(packed)
        return Ended(task, taken(answer))

    def _dead(self, place: _Place, worker: _Worker, error: Exception) -> Ended | None:
        """Have the task of a worker that died done by another; or give it back."""
        if not is_alive(place.node.id):
            self._lost(place)
            return None
        place.workers.remove(worker)
        assert worker.given is not None
        task = worker.given.task
        place.release(task)
        if worker.process() is None:
            self._stillborn += 1
            if self._stillborn == TRIES:
                raise PhasescopeError(
                    f"Workers on {place.node.name} end before they begin: {first_line(error)} Ray's logs there say why."
                )
        else:
            self._deaths[task] += 1
            self._shunned.setdefault(task, set()).add(place.node.id)
            if self._deaths[task] == TRIES:
                self._begin_ready(place)
                return Ended(task, died=f"its process on {place.node.name} was killed, as where memory is short")
            warnings.warn(
                f"A worker on {place.node.name} ended at {task.label}: another one tries.",
                PhasescopeWarning,
                stacklevel=4,
            )
        self.give(task)
        self._begin_ready(place)
        return None

    def _lost(self, place: _Place) -> None:
        """Give what a lost node had to others."""
        self._places.remove(place)
        self.size -= place.room
        if not self._places:
            raise PhasescopeError(
                f"The cluster lost its last node, {place.node.name}. Start others, and run the same command again: "
                "nothing that was done is lost."
            )
        warnings.warn(f"The node {place.node.name} was lost: others do what it had.", PhasescopeWarning, stacklevel=5)
        for given in place.given:
            self.give(given.task)

    def _require_own_folders(self) -> None:
        """Raise `PhasescopeError` where nodes would remove from a cache what others read."""
        import ray

        ids = {place.node.id: place for place in self._places}
        if self._supplier is None or len(ids) < 2:
            return
        ray.get([place.depot.mark.remote(node) for node, place in ids.items()])
        seen = ray.get([place.depot.seen.remote() for place in self._places])
        ray.get([place.depot.unmark.remote(node) for node, place in ids.items()])
        for place, names in zip(self._places, seen, strict=True):
            for other in sorted(names & ids.keys() - {place.node.id}):
                raise PhasescopeError(
                    f"The nodes {place.node.name} and {ids[other].node.name} have one cache of the hub together, from "
                    "which each would remove what the other reads: leave out --cache-limit, or set HF_HUB_CACHE to a "
                    "disk of its own on each before Ray is started there."
                )

    def _say_where(self) -> None:
        away = [place.node.name for place in self._places if place.node.away]
        where = f"{counted(self.size, 'worker')} on {counted(len(self._places), 'node')}"
        if away:
            how = f"what is made on {', '.join(away)} is sent here, as {self._folder} is not seen there."
        else:
            how = f"all of them see {self._folder}." if self._folder else "ready."
        stderr().print(f"{where}: {how}", markup=False, soft_wrap=True)


def _chunks(worker: _Worker, name: str, size: int) -> Iterator[bytes]:
    import ray

    for first in range(0, size, _CHUNK):
        yield ray.get(worker.actor.read.remote(name, first, _CHUNK))
