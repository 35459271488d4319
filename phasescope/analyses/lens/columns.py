"""The columns of the tables about the lens."""

from __future__ import annotations

LENS = {
    "size": "str", "seed": "int64", "step": "int64", "lens": "str", "site": "str", "layer": "int64", "score": "str",
    "value": "float64", "low": "float64", "high": "float64", "shuffled": "float64", "level": "float64",
    "tokens": "int64", "sequences": "int64",
}  # fmt: skip
DEPTH = {
    "size": "str", "seed": "int64", "step": "int64", "lens": "str", "depth": "float64", "low": "float64",
    "high": "float64", "shuffled": "float64", "layers": "int64", "kl": "float64", "kl_low": "float64",
    "kl_high": "float64", "kl_shuffled": "float64", "level": "float64", "tokens": "int64", "sequences": "int64",
}  # fmt: skip
ATTRIBUTION = {
    "size": "str", "seed": "int64", "step": "int64", "part": "str", "layer": "Int64", "component": "str",
    "value": "float64", "low": "float64", "high": "float64", "shuffled": "float64", "level": "float64",
    "tokens": "int64", "sequences": "int64",
}  # fmt: skip
SCORES = ("kl", "entropy", "surprisal", "probability", "rank", "agreement")
EMBEDDING = -1
"""The layer of what enters the first one."""
