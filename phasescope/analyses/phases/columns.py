"""The columns of the tables of phases."""

from __future__ import annotations

PHASES = {
    "curve": "str", "size": "str", "seed": "Int64", "phase": "int64", "start": "float64", "end": "float64",
    "start_low": "float64", "start_high": "float64", "label": "str", "slope": "float64", "slope_low": "float64",
    "slope_high": "float64", "name": "str", "evidence": "str", "criterion": "float64", "errors": "str",
    "points": "int64", "level": "float64",
}  # fmt: skip


PEAKS = {
    "curve": "str", "size": "str", "seed": "Int64", "peak_step": "float64", "low": "float64", "high": "float64",
    "at_end": "bool", "level": "float64",
}  # fmt: skip
