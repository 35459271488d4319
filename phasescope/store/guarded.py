"""What is done in the process that reads for another: see `phasescope.store.guard`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import h5py

from phasescope.errors import PhasescopeError
from phasescope.store import guard
from phasescope.store.contents import attributes_of
from phasescope.store.opening import opened
from phasescope.store.trouble import reading
from phasescope.store.verify import problem_of

Beat = Callable[[], object]


def _attributes(path: Path, beat: Beat) -> str:
    """Read all attributes of a file."""

    def read(name: str, thing: h5py.HLObject) -> None:
        attributes_of(thing, variable=True)
        beat()

    with opened(path) as file, reading(path):
        read("/", file)
        file.visititems(read)
    return ""


TASKS: dict[str, Callable[[Path, Beat], str]] = {"attributes": _attributes, "verify": problem_of}


def serve() -> None:
    """Answer what comes on stdin, a line each, until it ends; beats between, so that it is known that work goes on."""
    guard.INSIDE[0] = True
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.

    def tell(line: str) -> None:
        answers.write(line + "\n")
        answers.flush()

    def beat() -> None:
        # Nobody may be left to end this process; the system does, whatever HDF5 is at.
        signal.alarm(int(2 * guard.PATIENCE))
        tell(guard.BEAT)

    for line in sys.stdin:
        task, path = json.loads(line)
        try:
            beat()
            problem = TASKS[task](Path(path), beat)
        except PhasescopeError as error:
            problem = str(error)
        signal.alarm(0)
        tell(json.dumps(problem))
