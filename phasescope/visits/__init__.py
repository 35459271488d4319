"""The visit: for each checkpoint load → hook → probe → store; local now, a cluster later.

`visit` and `visit_cohort` are the two units of work: plain functions of plain values that share nothing but the run's
folder. `capture_into` runs them one after the other; `revisit` asks for more later.
"""

from phasescope.visits.capture import capture_into
from phasescope.visits.checkpoint import Summary, visit
from phasescope.visits.cohort import Comparison, visit_cohort
from phasescope.visits.compare import Compared, compare_run
from phasescope.visits.request import Request
from phasescope.visits.revisit import revisit

__all__ = [
    "Compared",
    "Comparison",
    "Request",
    "Summary",
    "capture_into",
    "compare_run",
    "revisit",
    "visit",
    "visit_cohort",
]
