"""The public face of a run on disk: `open_run(...).layer(3, "mlp_out").convergence()`."""

from __future__ import annotations

from phasescope.run.capturing import capture
from phasescope.run.layer import Layer
from phasescope.run.run import Run, open_run

__all__ = ["Layer", "Run", "capture", "open_run"]
