"""While a library reads the files of a checkpoint: it is quiet, ends what it began, its errors name the checkpoint."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites.suite import Checkpoint


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and reports off the terminal, where ours are."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


# Shells, terminals and `timeout` send what they send twice; who asks again later than that means it.
_SAME_REQUEST = 2.0


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

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    # Where there is no handler of Python's, nothing is raised: the process ends, or goes on.
    before = {number: handler for number in numbers if callable(handler := signal.getsignal(number))}
    for number in before:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if first is not None:
            signal.raise_signal(first[0])


@contextmanager
def blamed_on(checkpoint: Checkpoint) -> Iterator[None]:
    """Name the checkpoint in whatever a library raises while it reads the files.

    The libraries have no common error: a damaged file shows as any of OSError, ValueError, RuntimeError, KeyError,
    pickle's, safetensors' and huggingface_hub's own.
    """
    try:
        yield
    except (PhasescopeError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if "trust_remote_code" in text:
            text = (
                "it needs Python code of its own, which is not run unless you trust it and ask for it: "
                "--trust-remote-code (in Python, trust_remote_code=True)."
            )
        elif "automatic conversion of the weights" in text:
            text = (
                "tensors of its files cannot be joined as its modules hold them: experts of one layer have unequal "
                "shapes, or some are missing. Save the checkpoint anew."
            )
        reason = text if len(text) <= 300 else f"{text[:300]}…"
        raise BadCheckpointError(f"{checkpoint.label} in {checkpoint.place} cannot be loaded: {reason}") from error
