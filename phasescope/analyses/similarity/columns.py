"""The columns of the tables of similarity, and what may be asked for."""

from __future__ import annotations

from collections.abc import Sequence

from phasescope.errors import BadArgumentError, did_you_mean

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

MEASURES = (
    "cka", "rsa", "neighbours", "procrustes", "mean_cca", "svcca", "pwcca", "rsa_spearman", "rsa_cosine",
)  # fmt: skip
"""Those of `phasescope.measures.SIMILARITIES`, which takes long to load."""


def measures_named(given: Sequence[str]) -> tuple[str, ...]:
    """The measures of these names, in their own order; `PhasescopeError` for none, and for another with the nearest."""
    for name in given:
        if name not in MEASURES:
            raise BadArgumentError(f"There is no measure of similarity {name!r}. {did_you_mean(name, MEASURES)}")
    if not given:
        raise BadArgumentError("Name at least one measure of similarity. Try rsa.")
    return tuple(name for name in MEASURES if name in given)
