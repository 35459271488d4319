"""The commands: parse, call, print. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

import os

# Importing a module of commands is what adds them, in the order in which the help lists them.
from phasescope.cli import nursery  # noqa: F401  isort: skip
from phasescope.cli import making  # noqa: F401  isort: skip
from phasescope.cli import evaluations  # noqa: F401  isort: skip
from phasescope.cli import looking  # noqa: F401  isort: skip
from phasescope.cli import layer  # noqa: F401  isort: skip
from phasescope.cli import phases  # noqa: F401  isort: skip
from phasescope.cli import own  # noqa: F401  isort: skip
from phasescope.cli import probing  # noqa: F401  isort: skip
from phasescope.cli.app import app
from phasescope.stopping import leaving_at_once_if_stopped

# How the numerical libraries wait, read by each when it is loaded. By default their threads wait for one another in
# busy loops: on a machine whose cores others use too, that takes many times the time of the work. What the user has
# set stays.
_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}


def main() -> None:
    """The console script."""
    for name, value in _PATIENT.items():
        os.environ.setdefault(name, value)
    with leaving_at_once_if_stopped():
        app()
