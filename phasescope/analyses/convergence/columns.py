"""The columns of the tables of convergence."""

from __future__ import annotations

CONVERGENCE = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "int64", "component": "str",
    "head": "Int64", "cka": "float64", "low": "float64", "high": "float64", "cka_debiased": "float64",
    "debiased_low": "float64", "debiased_high": "float64", "shuffled": "float64", "level": "float64",
    "samples": "int64", "reason": "str",
}  # fmt: skip


SETTLING = {
    "size": "str", "seed": "int64", "site": "str", "layer": "int64", "component": "str", "head": "Int64",
    "tau": "float64", "settling_step": "Int64", "low": "Int64", "high": "Int64", "settling_fraction": "float64",
    "level": "float64", "last_step": "int64", "first_step": "Int64", "first_cka": "float64", "first_low": "float64",
    "first_high": "float64", "shuffled": "float64", "moved": "bool", "reason": "str",
}  # fmt: skip


KEYS = {"size": "str", "seed": "int64", "step": "int64", "site": "str"}
