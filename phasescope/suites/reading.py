"""While a library reads the files of a checkpoint: it keeps quiet, and its errors name the checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
