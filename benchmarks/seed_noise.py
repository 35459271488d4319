"""How far do seeds lie apart, as a share of the range of their curve? What noise is realistic for phases and lags.

`python -m benchmarks seed_noise` reads the published correlations in ../shared/data; `python -m benchmarks.seed_noise
RUN` reads the curves of a run of two seeds or more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import phasescope as ps
from phasescope.errors import PhasescopeError

PUBLISHED = Path("../shared/data/behaviour/parc_heuristic_correlations.tsv")


def apart(seeds: np.ndarray) -> tuple[float, float]:
    """Of curves [seeds, steps]: their standard deviation around the mean of the seeds, as a share of its range, and how
    far it goes on from one checkpoint to the next (autocorrelation). Offsets do not count: no boundary moves by them.
    """
    mean = seeds.mean(0)
    own = (seeds - mean) * np.sqrt(len(seeds) / (len(seeds) - 1))
    own -= own.mean(1, keepdims=True)
    return float(np.sqrt((own**2).mean()) / np.ptp(mean)), float((own[:, 1:] * own[:, :-1]).sum() / (own**2).sum())


def _published() -> Iterator[tuple[str, np.ndarray]]:
    table = pd.read_csv(PUBLISHED, sep="\t")
    for (family, size, name), rows in table.groupby(["ModelFamily", "ModelSize", "CorrelatingVariable"]):
        yield f"{family} {size} {name}", _wide(rows, "ModelSeed", "ModelStep", "PearsonR")


def _of_run(run: Path) -> Iterator[tuple[str, np.ndarray]]:
    opened = ps.open_run(run)
    sources = (
        ("surprisal", "surprisal", ["size"]), ("surprisal", "entropy", ["size"]),
        ("heuristics", "pearson", ["size", "unit", "predictor"]), ("minimal_pairs", "accuracy", ["size", "paradigm"]),
        ("convergence", "cka", ["size", "site"]),
    )  # fmt: skip
    for name, value, by in sources:
        try:
            table = opened.table(name)
        except PhasescopeError:
            continue
        if "head" in table:
            table = table[table["head"].isna()]
        if "method" in table:
            table = table[table["method"] == "full_sentence"]
        for key, rows in table.groupby(by):
            yield " ".join([value, *map(str, key)]), _wide(rows, "seed", "step", value)


def _wide(rows: pd.DataFrame, seed: str, step: str, value: str) -> np.ndarray:
    return rows.pivot_table(index=seed, columns=step, values=value).dropna(axis=1).to_numpy(np.float64)


def main(run: str | None = None) -> None:
    """Print a line for each curve."""
    if run is None and not PUBLISHED.is_file():
        print(f"  there is no {PUBLISHED}")
        return
    for name, seeds in _published() if run is None else _of_run(Path(run)):
        if len(seeds) > 1 and seeds.shape[1] > 4:
            share, goes_on = apart(seeds)
            print(f"  {name:60} {len(seeds)} seeds {seeds.shape[1]:4} steps {share:7.2%} goes on {goes_on:5.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
