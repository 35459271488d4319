"""Who does a piece of work: this process, or several at once."""

from __future__ import annotations

from phasescope.workers.crew import Crew, Ended, Here, Task, done_by, working
from phasescope.workers.processes import Processes, require_cores

__all__ = ["Crew", "Ended", "Here", "Processes", "Task", "crew_of", "done_by", "require_cores", "working"]


def crew_of(work: object, workers: int, *, gpus: bool = False) -> Crew:
    """A crew of so many for `work`, to be entered with `with`; of one it is this process itself.

    gpus: whether each of several is to have a GPU of its own, where there are several.
    """
    return Here(work) if workers == 1 else Processes(work, workers, gpus=gpus)
