"""The columns of the tables about heads."""

from __future__ import annotations

SCORES = {
    "size": "str", "seed": "int64", "step": "int64", "layer": "int64", "head": "int64", "score": "str",
    "value": "float64", "low": "float64", "high": "float64", "twins": "float64", "level": "float64",
    "sequences": "int64",
}  # fmt: skip
REPETITION = {
    "size": "str", "seed": "int64", "step": "int64", "gain": "float64", "low": "float64", "high": "float64",
    "loss": "float64", "twins_loss": "float64", "strongest": "float64", "strongest_low": "float64",
    "strongest_high": "float64", "layer": "int64", "head": "int64", "level": "float64", "sequences": "int64",
}  # fmt: skip
BUMPS = {
    "size": "str", "seed": "int64", "layer": "Int64", "head": "Int64", "highest": "float64", "highest_low": "float64",
    "highest_high": "float64", "highest_step": "int64", "forms_step": "float64", "low": "float64", "high": "float64",
    "start": "float64", "start_low": "float64", "start_high": "float64", "end": "float64", "end_low": "float64",
    "end_high": "float64", "level": "float64", "reason": "str",
}  # fmt: skip
