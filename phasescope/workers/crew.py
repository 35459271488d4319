"""What a crew is: those who do tasks, each of which is a method of one piece of work and what it is called with."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, eq=False)
class Task:
    """One call of a method of the work that a crew was made for.

    label: how messages name it.
    needs: what has to be brought to where it is done; what is known of it then takes the place of its last argument.
    group: tasks of one group need much of the same, so they are better done in one place.
    """

    method: str
    arguments: tuple[Any, ...]
    label: str
    needs: tuple[Any, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Ended:
    """A task that is done, and what it returned; or that cannot be done, because it ends those who do it.

    died: how the last of them ended; empty where the task is done.
    """

    task: Task
    result: Any = None
    died: str = ""


class Crew(Protocol):
    """Those who do the tasks of one piece of work. Leaving its `with` block ends what is still under way."""

    size: int

    @property
    def free(self) -> int:
        """How many tasks may be given now."""

    @property
    def busy(self) -> int:
        """How many tasks were given and have not been taken back."""

    def give(self, task: Task) -> None:
        """Have a task done by one who is free."""

    def take(self, timeout: float | None = None) -> Ended | None:
        """The next task that ended; None after so many seconds, or where nobody does anything.

        Raises what the task raised.
        """

    def __enter__(self) -> Crew: ...

    def __exit__(self, *problem: object) -> None: ...


def done_by(crew: Crew, tasks: Iterable[Task], tell: Callable[[str], object]) -> Iterator[Ended]:
    """Each of the tasks when it has ended. tell: is told what is begun, and how many are at work."""
    left = iter(tasks)
    waiting = next(left, None)
    while waiting is not None or crew.busy:
        if waiting is not None and crew.free:
            tell(working(crew, waiting.label))
            crew.give(waiting)
            waiting = next(left, None)
        elif ended := crew.take():
            yield ended


def working(crew: Crew, label: str) -> str:
    """What is begun, for people: with how many of the crew are then at work, where it is of several."""
    return f"{min(crew.busy + 1, crew.size)} of {crew.size} workers: {label}" if crew.size > 1 else label


class Here:
    """A crew of one: this process, which does a task when it is given."""

    size = 1

    def __init__(self, work: object) -> None:
        self._work = work
        self._ended: Ended | None = None

    @property
    def free(self) -> int:
        return int(self._ended is None)

    @property
    def busy(self) -> int:
        return int(self._ended is not None)

    def give(self, task: Task) -> None:
        self._ended = Ended(task, getattr(self._work, task.method)(*task.arguments))
        # What is there now stays: the next collection need only look at what the next task makes.
        gc.freeze()

    def take(self, timeout: float | None = None) -> Ended | None:
        ended, self._ended = self._ended, None
        return ended

    def __enter__(self) -> Here:
        return self

    def __exit__(self, *problem: object) -> None:
        gc.unfreeze()
