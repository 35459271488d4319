"""What users bring along: measures and probes of their own, made by decorators, offered by packages."""

from __future__ import annotations

from phasescope.plugins.measure import PAIRS, Measure, measure, measure_named, measure_of, measures
from phasescope.plugins.offered import INTERFACE, Offered, offered
from phasescope.plugins.probe import Probe, probe, probe_named, probes

__all__ = [
    "INTERFACE",
    "PAIRS",
    "Measure",
    "Offered",
    "Probe",
    "measure",
    "measure_named",
    "measure_of",
    "measures",
    "offered",
    "probe",
    "probe_named",
    "probes",
]
