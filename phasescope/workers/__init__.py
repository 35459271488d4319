"""Who does a piece of work: this process, several on this machine, or several on a cluster."""

from phasescope.workers.crew import Crew, Ended, Here, Task, done_by, working
from phasescope.workers.processes import Processes
from phasescope.workers.workforce import ALONE, Workforce, cores

__all__ = ["ALONE", "Crew", "Ended", "Here", "Processes", "Task", "Workforce", "cores", "done_by", "working"]
