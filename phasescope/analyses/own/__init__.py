"""Measures of one's own, of every site of a run: what they gave, and how it goes with behavioural phases."""

from __future__ import annotations

from phasescope.analyses.own.asked import Asked
from phasescope.analyses.own.kept import MEASURED, measured_names, measured_table
from phasescope.analyses.own.linked import own_lags, own_phases, own_shares
from phasescope.analyses.own.mapping import map_measure

__all__ = [
    "MEASURED",
    "Asked",
    "map_measure",
    "measured_names",
    "measured_table",
    "own_lags",
    "own_phases",
    "own_shares",
]
