"""What a worker does, in a process of its own: tasks as they come, until nobody is left who gives any."""

from __future__ import annotations

import gc
import os
import pickle
import signal
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from phasescope.console import show_progress
from phasescope.errors import PhasescopeError, PhasescopeWarning

_LOOK = 1.0
"""Seconds between two looks whether the one who gives tasks is still there."""


@dataclass(frozen=True)
class Answer:
    """What came of a task, or of the beginning of a worker (then all of it is empty)."""

    result: Any = None
    error: Exception | None = None
    warnings: tuple[str, ...] = ()


def serve() -> None:
    """Do tasks that come through the descriptor in the second argument; the work comes first.

    Told to end (SIGTERM), it ends what it was writing as an interrupt does: no file is left half-written.
    """
    parent, connection = os.getppid(), Connection(int(sys.argv[2]))
    os.dup2(2, 1)  # What libraries print is no result.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = []

    def end(number: int, frame: object) -> None:
        told.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    show_progress("none")
    try:
        work = pickle.loads(connection.recv_bytes())
        connection.send(Answer())
        while True:
            method, arguments = connection.recv()
            connection.send_bytes(packed(answer_to(work, method, arguments)))
            # What is there now stays: the next collection need only look at what the next task makes.
            gc.freeze()
    except (EOFError, ConnectionError, KeyboardInterrupt):
        pass
    except BaseException:
        # While libraries are loaded, an interrupt may come out as an error of theirs.
        if not told:
            raise


def answer_to(work: object, method: str, arguments: tuple[Any, ...]) -> Answer:
    """What comes of a task, also where it raises."""
    told: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always", PhasescopeWarning)
        otherwise = warnings.showwarning

        def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, PhasescopeWarning):
                told.append(str(message))
            else:
                otherwise(message, category, *where, **more)

        warnings.showwarning = tell
        try:
            return Answer(getattr(work, method)(*arguments), warnings=tuple(told))
        except PhasescopeError as error:
            return Answer(error=error, warnings=tuple(told))
        except Exception as error:
            error.add_note(f"In a worker:\n{traceback.format_exc()}")
            return Answer(error=error, warnings=tuple(told))


def packed(answer: Answer) -> bytes:
    """An answer as bytes, whatever is in it."""
    try:
        sent = pickle.dumps(answer)
        if answer.error is not None:
            pickle.loads(sent)  # Some exceptions go in and do not come out.
        return sent
    except Exception:
        said = f"{type(answer.error).__name__}: {answer.error}" if answer.error else "a result that cannot be sent"
        error = RuntimeError(said)
        for note in getattr(answer.error, "__notes__", ()):
            error.add_note(note)
        return pickle.dumps(Answer(error=error, warnings=answer.warnings))


def taken(answer: Answer) -> Any:
    """The result in an answer, for the one who gave the task: with its warnings, or raising what it raised."""
    for said in answer.warnings:
        warnings.warn(said, PhasescopeWarning, stacklevel=4)
    if answer.error is not None:
        raise answer.error
    return answer.result


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGTERM)
