"""The columns of the tables about experts."""

from __future__ import annotations

EXPERTS = {
    "size": "str", "seed": "int64", "step": "int64", "layer": "int64", "measure": "str", "value": "float64",
    "low": "float64", "high": "float64", "chance": "float64", "level": "float64", "experts": "int64",
    "choices": "int64", "sequences": "int64",
}  # fmt: skip
LOADS = {
    "size": "str", "seed": "int64", "step": "int64", "layer": "int64", "expert": "int64", "load": "float64",
    "low": "float64", "high": "float64", "level": "float64",
}  # fmt: skip
SETTLING = {
    "size": "str", "seed": "int64", "layer": "int64", "tau": "float64", "settling_step": "float64", "low": "float64",
    "high": "float64", "last_step": "int64", "level": "float64",
}  # fmt: skip
BY = {
    "size": "str", "seed": "int64", "step": "int64", "layer": "int64", "by": "str", "group": "str", "value": "float64",
    "low": "float64", "high": "float64", "chance": "float64", "expert": "int64", "expert_share": "float64",
    "level": "float64", "choices": "int64",
}  # fmt: skip
PAIRS = {
    "size": "str", "seed": "int64", "step": "int64", "layer": "int64", "expert": "int64", "beside": "int64",
    "together": "float64", "by_chance": "float64",
}  # fmt: skip
SEEDS = {
    "size": "str", "step": "int64", "layer": "int64", "seed": "int64", "beside_seed": "int64", "value": "float64",
    "low": "float64", "high": "float64", "chance": "float64", "level": "float64", "samples": "int64",
}  # fmt: skip
