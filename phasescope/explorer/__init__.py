"""One layer in the browser: `phasescope explore RUN`. Reads a run and probes its checkpoints live; writes nothing."""

from __future__ import annotations

from phasescope.explorer.server import explore

__all__ = ["explore"]
