"""Tables of noise, questions and positions, as the analyses make them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

KINDS = ("swap", "shuffle", "replace")
RATES = (0.1, 0.2, 0.5)
WEIGHTS = ((0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0))


def asked_tables(sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> dict[str, pd.DataFrame]:
    keys = pd.DataFrame(list(product(sizes, seeds, steps)), columns=["size", "seed", "step"])
    learned = np.log2(1 + keys["step"]) / 10 + 0.05 * keys["seed"] / 3
    return {
        "noise": _noise(keys, learned),
        "multiple_choice": _questions(keys, learned),
        "in_context_learning": _scores(keys, learned),
        "loss_by_position": _by_position(keys, learned),
    }


def _noise(keys: pd.DataFrame, learned: "pd.Series[float]") -> pd.DataFrame:
    ways = [("clean", 0.0, np.nan, np.nan)]
    ways += [(kind, rate, np.nan, np.nan) for kind in KINDS for rate in RATES]
    ways += [("nucleus", np.nan, small, large) for small, large in WEIGHTS]
    parts = []
    for kind, rate, small, large in ways:
        worse = 1 + (0.0 if kind == "clean" else 3 * (0.3 if np.isnan(rate) else rate)) * learned
        perplexity = 2000 * np.exp(-3 * learned) * worse
        numbers = {"perplexity": perplexity, "ratio": worse, "surprisal": np.log(perplexity)}
        edges = {f"{name}_{edge}": numbers[name] * by for name in ("perplexity", "ratio") for edge, by in _EDGES}
        about = {"set": "all-8x64", "kind": kind, "rate": rate, "small_weight": small, "large_weight": large}
        parts.append(keys.assign(**about, **numbers, **edges))
    table = pd.concat(parts, ignore_index=True)
    return table.assign(
        low=table["surprisal"] - 0.1, high=table["surprisal"] + 0.1, sequences=8, tokens=504, level=0.95
    )


_EDGES = (("low", 0.9), ("high", 1.1))


def _questions(keys: pd.DataFrame, learned: "pd.Series[float]") -> pd.DataFrame:
    parts = []
    for task, chance in (("arc_easy", 0.25), ("piqa-2-shots", 0.5)):
        accuracy = (chance + 0.4 * learned).clip(upper=0.95)
        table = keys.assign(task=task, shots=0, accuracy=accuracy, low=accuracy - 0.05, high=accuracy + 0.05)
        table = table.assign(accuracy_norm=accuracy, norm_low=accuracy - 0.05, norm_high=accuracy + 0.05)
        right, wrong = 900 * np.exp(-3 * learned), 900 * np.exp(-2 * learned)
        table = table.assign(perplexity=right, perplexity_low=0.9 * right, perplexity_high=1.1 * right)
        table = table.assign(perplexity_wrong=wrong, wrong_low=0.9 * wrong, wrong_high=1.1 * wrong, chance=chance)
        parts.append(table.assign(questions=200, level=0.95))
    return pd.concat(parts, ignore_index=True)


def _scores(keys: pd.DataFrame, learned: "pd.Series[float]") -> pd.DataFrame:
    table = keys.assign(early="13-38", late="230-255", score=-0.4 * learned, early_loss=7 - 3 * learned)
    table = table.assign(low=table["score"] - 0.1, high=table["score"] + 0.1, late_loss=7 - 3.4 * learned)
    for name in ("early", "late"):
        table = table.assign(
            **{f"{name}_low": table[f"{name}_loss"] - 0.1, f"{name}_high": table[f"{name}_loss"] + 0.1}
        )
    return table.assign(level=0.95, sequences=18)


def _by_position(keys: pd.DataFrame, learned: "pd.Series[float]") -> pd.DataFrame:
    parts = []
    for first, last in ((1, 1), (2, 3), (4, 6), (7, 10), (11, 16), (17, 25), (26, 39), (40, 255)):
        loss = 7.5 - 3 * learned - 0.1 * learned * np.log(first)
        parts.append(keys.assign(first=first, last=last, loss=loss, low=loss - 0.1, high=loss + 0.1))
    return pd.concat(parts, ignore_index=True).assign(level=0.95, sequences=18)
