"""The columns of the tables of seeds."""

from __future__ import annotations

SEEDS = {
    "size": "str", "step": "int64", "kl": "float64", "low": "float64", "high": "float64", "convergence": "float64",
    "level": "float64", "seeds": "int64", "missing": "str", "sequences": "int64", "tokens": "int64",
}  # fmt: skip


SEED_PAIRS = {
    "size": "str", "step": "int64", "seed_p": "int64", "seed_q": "int64", "kl": "float64", "low": "float64",
    "high": "float64", "level": "float64",
}  # fmt: skip


SEEDS_BY = {
    "size": "str", "step": "int64", "by": "str", "group": "str", "kl": "float64", "low": "float64", "high": "float64",
    "level": "float64", "tokens": "int64", "sequences": "int64",
}  # fmt: skip


SEEDS_BY_PEAKS = {
    "size": "str", "by": "str", "group": "str", "since": "int64", "peak_step": "int64", "low": "int64", "high": "int64",
    "peak_kl": "float64", "last_step": "int64", "last_kl": "float64", "share": "float64", "share_low": "float64",
    "share_high": "float64", "at_end": "bool", "level": "float64", "tokens": "int64",
}  # fmt: skip


SEEDS_BY_CONTRASTS = {
    "size": "str", "by": "str", "group": "str", "than": "str", "measure": "str", "value": "float64",
    "than_value": "float64", "difference": "float64", "low": "float64", "high": "float64", "level": "float64",
}  # fmt: skip


REFERENCES = {
    "size": "str", "seed": "int64", "step": "int64", "kl_uniform": "float64", "uniform_low": "float64",
    "uniform_high": "float64", "kl_unigram": "float64", "unigram_low": "float64", "unigram_high": "float64",
    "level": "float64", "sequences": "int64", "tokens": "int64", "reason": "str",
}  # fmt: skip


TURNS = {
    "size": "str", "turn_step": "int64", "low": "int64", "high": "int64", "first_kl": "float64", "turn_kl": "float64",
    "last_kl": "float64", "fall": "float64", "fall_low": "float64", "fall_high": "float64", "rise": "float64",
    "rise_low": "float64", "rise_high": "float64", "seeds_kl": "float64", "seeds_peak_step": "Int64",
    "seeds_peak_kl": "float64", "growth": "float64", "growth_low": "float64", "growth_high": "float64", "turns": "bool",
    "seeds_part": "bool", "level": "float64", "seeds": "int64",
}  # fmt: skip


KL_ACROSS = {
    "relation": "str", "size": "str", "seed": "int64", "step": "int64", "other_size": "str", "other_step": "int64",
    "kl": "float64", "low": "float64", "high": "float64", "kl_back": "float64", "back_low": "float64",
    "back_high": "float64", "level": "float64", "sequences": "int64", "tokens": "int64",
}  # fmt: skip


NEXT_BYTE = {
    "relation": "str", "size": "str", "beside_run": "str", "beside_size": "str", "step": "int64", "kl": "float64",
    "low": "float64", "high": "float64", "kl_back": "float64", "back_low": "float64", "back_high": "float64",
    "level": "float64", "pairs": "int64", "positions": "int64", "sequences": "int64", "impossible": "float64",
}  # fmt: skip
