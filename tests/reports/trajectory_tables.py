"""The tables of the analysis `trajectories`, of a made-up suite."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement, product

import numpy as np
import pandas as pd

CLASSES = ("stagnating", "decreasing", "increasing", "double descent", "fluctuating")
PERCENTS = (10, 40, 70)
MEASURES = ("entropy", "KL between seeds", "surprisal of increasing tokens")


def trajectory_tables(
    generator: np.random.Generator, sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]
) -> dict[str, pd.DataFrame]:
    """Shares, agreement, transitions, curves against perplexity and how sizes line up; empty where steps are few."""
    tables = {
        "trajectories": _shares(generator, sizes, seeds, steps),
        "class_agreement": _agreement(sizes, seeds),
        "class_transitions": _transitions(generator, sizes, seeds),
        "against_perplexity": _curves(sizes, seeds, steps),
        "size_alignment": _alignment(sizes),
    }
    return tables if len(steps) > 2 else {name: table.iloc[:0] for name, table in tables.items()}


def _shares(
    generator: np.random.Generator, sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]
) -> pd.DataFrame:
    rows = []
    for size, seed, percent in product(sizes, seeds, PERCENTS):
        left = sum(step >= percent / 100 * steps[-1] for step in steps)
        share = generator.dirichlet((2, 8, 2, 1, 5))
        where = {"size": size, "seed": seed, "percent": percent, "checkpoints": left, "last_step": steps[-1]}
        for name, value in zip(CLASSES, share, strict=True):
            numbers = {"share": value, "low": value - 0.02, "high": value + 0.02, "reason": ""}
            rows.append(where | {"class": name, **numbers, "level": 0.95, "sequences": 18, "tokens": 18 * 255})
    return pd.DataFrame(rows)


def _pairs(sizes: Sequence[str], seeds: Sequence[int]) -> list[tuple[str, str, str]]:
    kinds = [(a, b, kind) for a, b in combinations_with_replacement(sizes, 2) for kind in ("same", "different")]
    return [(a, b, kind) for a, b, kind in kinds if (kind == "same") != (a == b) and (a != b or len(seeds) > 1)]


def _agreement(sizes: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    columns = ["size_a", "size_b", "seeds", "percent", "kappa", "low", "high", "level"]
    rows = [
        (*pair, p, 0.4 - p / 300, 0.35 - p / 300, 0.45 - p / 300, 0.95)
        for pair in _pairs(sizes, seeds)
        for p in PERCENTS
    ]
    return pd.DataFrame(rows, columns=columns)


def _transitions(generator: np.random.Generator, sizes: Sequence[str], seeds: Sequence[int]) -> pd.DataFrame:
    rows = []
    for pair, percent, first in product(_pairs(sizes, seeds), PERCENTS, CLASSES):
        given = generator.dirichlet((1,) * 5)
        rows += [(*pair, percent, first, second, given[i] / 5, given[i]) for i, second in enumerate(CLASSES)]
    columns = ["size_a", "size_b", "seeds", "percent", "class_a", "class_b", "share", "given_a"]
    return pd.DataFrame(rows, columns=columns)


def _curves(sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> pd.DataFrame:
    parts = []
    places = np.geomspace(20, 2000, 15)
    for (number, size), measure in product(
        enumerate(sizes), ("entropy", "KL between seeds", "surprisal of increasing tokens")
    ):
        for seed in ((None,) if len(seeds) > 1 else ()) if measure.startswith("KL") else seeds:
            step = max(steps) * (np.log(2000 / places) / np.log(100)) ** (3 + number)
            value = np.log(places) + 0.01 * (seed or 0)
            part = pd.DataFrame({"perplexity": places, "value": value, "step": step}).assign(low=value - 0.1)
            parts.append(part.assign(high=value + 0.1, size=size, seed=seed, measure=measure, level=0.95))
    return pd.concat([part.astype({"seed": "Int64"}) for part in parts], ignore_index=True)


def _alignment(sizes: Sequence[str]) -> pd.DataFrame:
    columns = ["size_a", "size_b", "measure", "distance", "ratio", "ratio_low", "ratio_high", "p_value", "reason"]
    pairs = [(a, b) for a, b in combinations_with_replacement(sizes, 2) if a != b]
    rows = [(*pair, measure, 0.05, 0.2, 0.15, 0.25, 0.002, "") for pair in pairs for measure in MEASURES]
    return pd.DataFrame(rows, columns=columns)
