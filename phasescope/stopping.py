"""Being asked to stop: by Ctrl-C, by a batch system or `kill` (SIGTERM), by a terminal that is closed (SIGHUP)."""

from __future__ import annotations

import atexit
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# Shells, terminals and `timeout` send what they send twice, and that must not stop the tidying up of the first.
_SAME_REQUEST = 2.0
# Windows has no SIGHUP.
_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

_stopped = threading.Event()


@contextmanager
def leaving_at_once_if_stopped() -> Iterator[None]:
    """Around a whole program: where it was stopped, it ends when it has tidied up, whatever its threads still do.

    Python would wait for all of them: one that a library had just begun when the request came can wait for ever, and
    one that still works on what was given up can end the process in a segmentation fault.
    """
    try:
        yield
    except SystemExit as end:
        if not _stopped.is_set():
            raise
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the terminal may be closed
                stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)


@contextmanager
def stoppable() -> Iterator[None]:
    """All of these raise `KeyboardInterrupt` in the block, so that what was begun is tidied up and said.

    What the process was told to ignore (as `nohup` does) stays ignored. Python drops an exception that comes while an
    object is finalised: such a request is made again. A process that a library forks here (of a pool, say) ends by them
    as any other: it has nothing to tidy up, and a pool that is given up waits for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    latest, asked_by, asked = -math.inf, signal.SIGINT, os.getpid()

    def stop(number: int, frame: object) -> None:
        nonlocal latest, asked_by
        if os.getpid() != asked:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        now = time.monotonic()
        if now - latest > _SAME_REQUEST:
            latest, asked_by = now, signal.Signals(number)
            _stopped.set()
            raise KeyboardInterrupt

    def again(dropped: Any) -> None:
        nonlocal latest
        if not issubclass(dropped.exc_type, KeyboardInterrupt):
            hook_before(dropped)
            return
        latest = -math.inf
        request = threading.Timer(0.05, os.kill, [os.getpid(), asked_by])
        request.daemon = True
        request.start()

    heeded = [number for number in _NUMBERS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop) for number in heeded}
    hook_before, sys.unraisablehook = sys.unraisablehook, again
    try:
        yield
    finally:
        sys.unraisablehook = hook_before
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Signals that stop the program (Ctrl-C, SIGTERM, SIGHUP) wait for the end of the block; a second request does not.

    transformers reads weights in threads and closes the file when it is interrupted, while they still read its pages:
    that can end the process in a segmentation fault, or keep it from ending.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals raise in the main thread only
        return
    first: tuple[int, float] | None = None

    def wait(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = number, now
        elif now - first[1] > _SAME_REQUEST:
            first = None
            before[number](number, frame)

    # Where there is no handler of Python's, nothing is raised: the process ends, or goes on.
    before = {number: handler for number in _NUMBERS if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if first is not None:
            signal.raise_signal(first[0])
