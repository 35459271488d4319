"""The columns of the tables of the link."""

from __future__ import annotations

LINK_SHARES = {
    "size": "str", "seed": "Int64", "site": "str", "layer": "int64", "component": "str", "curve": "str",
    "phase": "int64", "start": "float64", "end": "float64", "label": "str", "share": "float64", "low": "float64",
    "high": "float64", "change": "float64", "level": "float64", "seeds": "int64", "left_out": "str", "reason": "str",
}  # fmt: skip


LINK_LAGS = {
    "size": "str", "site": "str", "layer": "int64", "component": "str", "curve": "str", "lag": "float64",
    "low": "float64", "high": "float64", "factor": "float64", "factor_low": "float64", "factor_high": "float64",
    "correlation": "float64", "p": "float64", "q": "float64", "significant": "bool", "level": "float64",
    "seeds": "int64", "steps": "int64", "left_out": "str", "reason": "str",
}  # fmt: skip


LINK_RANK = {
    "size": "str", "component": "str", "layer": "Int64", "weight": "str", "outcome": "str", "method": "str",
    "term": "str", "estimate": "float64", "low": "float64", "high": "float64", "p": "float64", "level": "float64",
    "tau": "float64", "observations": "int64", "seeds": "int64", "layers": "int64", "censored": "int64",
    "unmoved": "int64", "left_out": "str", "reason": "str",
}  # fmt: skip


FIRST_FIFTH = {
    "size": "str", "component": "str", "tau": "float64", "share": "float64", "low": "float64", "high": "float64",
    "level": "float64", "layers": "int64", "seeds": "int64", "last_step": "int64", "unmoved": "float64",
    "left_out": "str",
}  # fmt: skip
