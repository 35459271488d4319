"""phasescope: see when, where and why a language model settles.

An activation-probing instrument for training runs of language models. Start with `capture` and `open_run`;
`phasescope.measures` can be used alone.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasescope import measures
    from phasescope.analyses import Table, analysis
    from phasescope.console import show_progress
    from phasescope.errors import PhasescopeError
    from phasescope.hooks import Architecture, Attention, Tap, TappedModel, register, tap
    from phasescope.plugins import Measure, Probe, measure, probe
    from phasescope.reports.live.results import probe_live
    from phasescope.run import Layer, Run, capture, open_run
    from phasescope.suites import Checkpoint, Suite, open_suite
    from phasescope.visits.training.probe import TrainingProbe

__version__ = "0.1.0"

# Loaded on first use, so that `phasescope --help` does not wait for torch.
_HOMES = {
    "Architecture": "phasescope.hooks",
    "Attention": "phasescope.hooks",
    "Tap": "phasescope.hooks",
    "TappedModel": "phasescope.hooks",
    "register": "phasescope.hooks",
    "tap": "phasescope.hooks",
    "measures": "phasescope.measures",
    "Table": "phasescope.analyses",
    "analysis": "phasescope.analyses",
    "Measure": "phasescope.plugins",
    "Probe": "phasescope.plugins",
    "measure": "phasescope.plugins",
    "probe": "phasescope.plugins",
    "capture": "phasescope.run",
    "PhasescopeError": "phasescope.errors",
    "Layer": "phasescope.run",
    "Run": "phasescope.run",
    "open_run": "phasescope.run",
    "probe_live": "phasescope.reports.live.results",
    "show_progress": "phasescope.console",
    "Checkpoint": "phasescope.suites",
    "Suite": "phasescope.suites",
    "open_suite": "phasescope.suites",
    "TrainingProbe": "phasescope.visits.training.probe",
}
__all__ = [
    "Architecture",
    "Attention",
    "Checkpoint",
    "Layer",
    "Measure",
    "PhasescopeError",
    "Probe",
    "Run",
    "Suite",
    "Table",
    "Tap",
    "TappedModel",
    "TrainingProbe",
    "__version__",
    "analysis",
    "capture",
    "measure",
    "measures",
    "open_run",
    "open_suite",
    "probe",
    "probe_live",
    "register",
    "show_progress",
    "tap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'phasescope' has no attribute {name!r}")
    if "ipykernel" in sys.modules:
        _know_tqdm()
    module = import_module(_HOMES[name])
    value = module if _HOMES[name] == f"phasescope.{name}" and name == "measures" else getattr(module, name)
    globals()[name] = value
    return value


def _know_tqdm() -> None:
    """Load tqdm, whose bars ours stand for, without its word that a notebook lacks a package that would draw them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tqdm.auto")


def __dir__() -> list[str]:
    return sorted(__all__)
