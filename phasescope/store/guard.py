"""Reading what may be damaged in a process of its own, which can be ended.

Some damage makes HDF5 spin for ever, where no signal reaches Python. What format version 1 keeps of attributes may do
that, so a file of that version is first read here; `verify` reads every file here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock, Thread

from phasescope.errors import PhasescopeError
from phasescope.store.trouble import damaged

PATIENCE = 60.0
"""Seconds for one block of a file, or one array's attributes."""
BEAT = "."
_SERVE = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from phasescope.store.guarded import serve; serve()"


class Guard:
    """A process that reads files for this one; it is begun when first needed, and ends with this one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._answers: SimpleQueue[str] = SimpleQueue()
        self._lock = Lock()
        self._owner = 0

    def ask(self, task: str, path: Path) -> str:
        """What is wrong with a file, or nothing. task: one of `phasescope.store.guarded.TASKS`.

        Raises `PhasescopeError` where reading it comes to no end, or ends the process.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps([task, str(path)]) + "\n")
                process.stdin.flush()
            try:
                while (answer := self._answers.get(timeout=PATIENCE)) == BEAT:
                    pass
            except BaseException as error:
                self._end(process)
                if isinstance(error, Empty):
                    raise PhasescopeError(
                        f"{path} cannot be read: HDF5 came to no end within {PATIENCE:.0f} s. If its disk answers, the "
                        "file is damaged: delete it and run the same capture again."
                    ) from None
                raise
            if not answer:
                self._end(process)
                raise damaged(path, "HDF5 ends the process that reads it")
            return str(json.loads(answer))

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None or self._owner != os.getpid():  # A process that was forked needs one of its own.
            self._owner, self._answers = os.getpid(), SimpleQueue()
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process, which then ends the other.
            )
            Thread(target=_collect, args=(self._process, self._answers), daemon=True).start()
        return self._process

    def _end(self, process: subprocess.Popen[str]) -> None:
        self._process = None
        process.kill()
        with suppress(subprocess.TimeoutExpired):  # A disk that does not answer holds it.
            process.wait(1)


def _collect(process: subprocess.Popen[str], answers: SimpleQueue[str]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        answers.put(line.rstrip("\n"))
    answers.put("")


GUARD = Guard()
INSIDE = [False]
"""Whether this is the process that reads for another."""
_sound: set[tuple[str, int, int, int]] = set()


def require_sound(path: Path) -> None:
    """Raise `PhasescopeError` where reading the attributes of a file comes to no end; once for each state of a file."""
    if INSIDE[0]:
        return
    stat = path.stat()
    state = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if state not in _sound:
        if problem := GUARD.ask("attributes", path):
            raise PhasescopeError(problem)
        _sound.add(state)
