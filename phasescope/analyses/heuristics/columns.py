"""The columns of the tables of heuristics."""

from __future__ import annotations

HEURISTICS = {
    "size": "str", "seed": "int64", "step": "int64", "unit": "str", "predictor": "str", "pearson": "float64",
    "low": "float64", "high": "float64", "spearman": "float64", "spearman_low": "float64", "spearman_high": "float64",
    "level": "float64", "sequences": "int64", "words": "int64", "reference": "str", "reason": "str",
}  # fmt: skip


HEURISTIC_PEAKS = {
    "size": "str", "unit": "str", "seed": "Int64", "measure": "str", "predictor": "str", "peak_step": "int64",
    "low": "int64", "high": "int64", "correlation": "float64", "before_next": "float64", "at_end": "bool",
    "level": "float64", "seeds": "int64",
}  # fmt: skip


HEURISTIC_FIT = {
    "size": "str", "seed": "int64", "unit": "str", "step": "int64", "term": "str", "coefficient": "float64",
    "low": "float64", "high": "float64", "r2_training": "float64", "r2_training_low": "float64",
    "r2_training_high": "float64", "r2_held_out": "float64", "r2_held_out_low": "float64",
    "r2_held_out_high": "float64", "level": "float64", "words_training": "int64", "words_held_out": "int64",
}  # fmt: skip
