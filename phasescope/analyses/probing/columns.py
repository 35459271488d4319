"""The columns of the tables about probes."""

from __future__ import annotations

_KEYS = {"size": "str", "seed": "int64", "step": "int64"}
_NUMBERS = {
    "accuracy": "float64", "low": "float64", "high": "float64", "majority": "float64", "control": "float64",
    "selectivity": "float64", "selectivity_low": "float64", "selectivity_high": "float64", "gain": "float64",
    "gain_low": "float64", "gain_high": "float64", "bits": "float64", "bits_low": "float64", "bits_high": "float64",
    "uniform_bits": "float64", "compression": "float64",
}  # fmt: skip
_ABOUT = {
    "classes": "int64", "train": "int64", "held_out": "int64", "sequences": "int64", "level": "float64",
    "reason": "str",
}  # fmt: skip
PROBING = {
    **_KEYS, "site": "str", "layer": "int64", "component": "str", "label": "str", **_NUMBERS, "C": "float64", **_ABOUT,
    "left_out": "str",
}  # fmt: skip
PROBED = {**_KEYS, "component": "str", "label": "str", **_NUMBERS, "layers": "int64", **_ABOUT}
UNITS = {
    "share of held-out samples": "accuracy low high majority control selectivity selectivity_low selectivity_high gain "
    "gain_low gain_high",
    "bits per label": "bits bits_low bits_high uniform_bits",
    "times": "compression",
}
