"""The columns of the tables of trajectories."""

from __future__ import annotations

PERCENTS = (10, 20, 30, 40, 50, 60, 70)


TRAJECTORIES = {
    "size": "str", "seed": "int64", "percent": "int64", "class": "str", "share": "float64", "low": "float64",
    "high": "float64", "first_step": "Int64", "last_step": "int64", "checkpoints": "int64",
    "level": "float64", "sequences": "int64", "tokens": "int64", "reason": "str",
}  # fmt: skip


TOKENS = {"size": "category", "seed": "int64", "sequence": "int64", "position": "int64", "token": "int64"} | {
    f"after_{percent}": "category" for percent in PERCENTS
}


TRANSITIONS = {
    "size_a": "str", "size_b": "str", "seeds": "str", "percent": "int64", "class_a": "str", "class_b": "str",
    "share": "float64", "low": "float64", "high": "float64", "given_a": "float64", "level": "float64",
}  # fmt: skip


AGREEMENT = {
    "size_a": "str", "size_b": "str", "seeds": "str", "percent": "int64", "kappa": "float64", "low": "float64",
    "high": "float64", "agreement": "float64", "agreement_low": "float64", "agreement_high": "float64",
    "level": "float64", "pairs": "int64", "sequences": "int64", "tokens": "int64",
}  # fmt: skip


ALIGNMENT = {
    "size_a": "str", "size_b": "str", "measure": "str", "perplexity_low": "float64", "perplexity_high": "float64",
    "distance": "float64", "low": "float64", "high": "float64", "step_distance": "float64", "step_low": "float64",
    "step_high": "float64", "ratio": "float64", "ratio_low": "float64", "ratio_high": "float64", "p_value": "float64",
    "seed_distance": "float64", "level": "float64", "reason": "str",
}  # fmt: skip


AGAINST = {
    "size": "str", "seed": "Int64", "measure": "str", "perplexity": "float64", "value": "float64", "low": "float64",
    "high": "float64", "step": "float64", "level": "float64",
}  # fmt: skip
