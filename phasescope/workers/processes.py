"""A crew of processes on this machine.

They are begun as fresh interpreters (threads of PyTorch do not survive a fork), without running the user's script
again, and end when this process does.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe, wait

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.workers.crew import Ended, Task
from phasescope.workers.worker import Answer, taken

TRIES = 3
"""How many workers a task may end."""
PATIENCE = 10.0
"""Seconds that a worker has to tidy up when it is told to end."""
_SERVE = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from phasescope.workers.worker import serve; serve()"
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection[object, Answer]
    task: Task | None = None
    begun: bool = False


class Processes:
    """So many processes at most, of which none is begun before there is something for it to do.

    A task whose worker dies is given to another; one that has ended three is given back as such.

    threads: of each; None: those that PyTorch would use here are divided.
    """

    def __init__(self, work: object, number: int, *, gpus: bool = False, threads: int | None = None) -> None:
        self.size = number
        self._work = pickle.dumps(work)
        self._gpus = _visible_gpus() if gpus else []
        self._threads = threads or max(_threads() // number, 1)
        self._workers: list[_Worker] = []
        self._deaths: dict[Task, int] = {}
        self._stillborn = 0

    @property
    def free(self) -> int:
        return self.size - self.busy

    @property
    def busy(self) -> int:
        return sum(worker.task is not None for worker in self._workers)

    def give(self, task: Task) -> None:
        worker = next((worker for worker in self._workers if worker.task is None), None)
        if worker is None:
            worker = self._begin()
        worker.task = task
        with suppress(OSError):  # It is dead, which is noticed when its answer is taken.
            worker.connection.send((task.method, task.arguments))

    def take(self, timeout: float | None = None) -> Ended | None:
        until = None if timeout is None else time.monotonic() + timeout
        while busy := {worker.connection: worker for worker in self._workers if worker.task is not None}:
            left = None if until is None else max(until - time.monotonic(), 0)
            ready = wait(list(busy), left)
            if not ready:
                return None
            worker = next(busy[one] for one in busy if one in ready)
            ended = self._answer_of(worker)
            if ended is not None:
                return ended
        return None

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *problem: object) -> None:
        """End all: those who do nothing by themselves, the others between two lines of Python, at last by force."""
        workers, self._workers = self._workers, []
        try:
            for worker in workers:
                worker.connection.close()
                if worker.task is not None:
                    worker.process.terminate()
            until = time.monotonic() + PATIENCE
            for worker in workers:
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(max(until - time.monotonic(), 0))
        finally:
            for worker in workers:
                if worker.process.poll() is None:
                    worker.process.kill()
                    worker.process.wait()

    def _begin(self) -> _Worker:
        ours, theirs = Pipe()
        environment = {**os.environ, **dict.fromkeys(_THREADS, str(self._threads))}
        if len(self._gpus) > 1:
            taken = [worker.process.args[-1] for worker in self._workers]  # type: ignore[index]
            gpu = min(self._gpus, key=taken.count)
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        else:
            gpu = ""
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, json.dumps(sys.path), str(theirs.fileno()), gpu],
                stdin=subprocess.DEVNULL,
                env=environment,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for this process, which then ends the others.
            )
        worker = _Worker(process, ours)
        self._workers.append(worker)
        with suppress(OSError):
            ours.send_bytes(self._work)
        return worker

    def _answer_of(self, worker: _Worker) -> Ended | None:
        try:
            answer = worker.connection.recv()
        except (EOFError, OSError):
            return self._dead(worker)
        if not worker.begun:
            worker.begun, self._stillborn = True, 0
            return None
        assert worker.task is not None
        task, worker.task = worker.task, None
        return Ended(task, taken(answer))

    def _dead(self, worker: _Worker) -> Ended | None:
        """Have the task of a worker that died done by another; or give it back."""
        self._workers.remove(worker)
        worker.connection.close()
        task, how = worker.task, _how_ended(worker.process.wait())
        assert task is not None
        if not worker.begun:
            self._stillborn += 1
            if self._stillborn == TRIES:
                raise PhasescopeError(
                    f"Workers end before they begin ({how}); what they said is above. Go on without: --workers 1."
                )
        else:
            self._deaths[task] = self._deaths.get(task, 0) + 1
            if self._deaths[task] == TRIES:
                return Ended(task, died=how)
            warnings.warn(
                f"A worker ended ({how}) at {task.label}: another one tries.", PhasescopeWarning, stacklevel=4
            )
        self.give(task)
        return None


def _threads() -> int:
    """The threads that PyTorch uses here, all of which are to be divided."""
    import torch

    return torch.get_num_threads()


def _visible_gpus() -> list[str]:
    """As `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return named or [str(index) for index in range(torch.cuda.device_count())]


def _how_ended(status: int) -> str:
    if status >= 0:
        return f"with status {status}"
    name = signal.Signals(-status).name
    return f"{name}, as where memory is short" if name == "SIGKILL" else name
