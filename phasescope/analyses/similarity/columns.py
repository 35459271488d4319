"""The columns of the tables of similarity."""

from __future__ import annotations

_OTHER = {"other_size": "str", "other_seed": "int64", "other_step": "int64", "other_layer": "int64"}
COMPARED = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "int64", "component": "str",
    "relation": "str", **_OTHER, "measure": "str", "value": "float64", "low": "float64", "high": "float64",
    "shuffled": "float64", "samples": "int64", "level": "float64", "reason": "str",
}  # fmt: skip
"""What is kept of each checkpoint: all but what its first step says."""

_PLACE = list(COMPARED).index("samples")
SIMILARITY = dict([*list(COMPARED.items())[:_PLACE], ("first", "float64"), *list(COMPARED.items())[_PLACE:]])

MEANS = {
    "size": "str", "seed": "int64", "step": "int64", "relation": "str", "measure": "str", "value": "float64",
    "low": "float64", "high": "float64", "shuffled": "float64", "first": "float64", "compared": "int64",
    "level": "float64",
}  # fmt: skip

MAPS = {
    "map": "str", "size": "str", "seed": "int64", "step": "int64", "component": "str", "layer": "int64", **_OTHER,
    "measure": "str", "value": "float64", "samples": "int64", "reason": "str",
}  # fmt: skip

RELATIONS = ("final", "previous", "next_layer", "seed", "size")
