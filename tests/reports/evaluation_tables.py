"""Benchmarks as the analysis makes them, of made-up tasks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

STEPS = (0, 1, 8, 64, 512)
TASKS = {"piqa": "acc acc_norm", "lambada": "ppl acc", "wiki": "ppl", **{f"blimp_{i}": "acc" for i in range(4)}}


def evaluations(
    tasks: dict[str, str], seeds: Sequence[int] = (1,), sizes: Sequence[str] = ("0.4m",), steps: Sequence[int] = STEPS
) -> pd.DataFrame:
    """Curves that rise, of tasks with the metrics named after them: as the analysis makes them."""
    rows = [
        (
            size,
            seed,
            step,
            task,
            metric,
            0,
            0.2 + 0.01 * place + 0.1 * np.log10(1 + step) + 0.001 * seed,
            0.01,
            metric != "ppl",
        )
        for size in sizes
        for seed in seeds
        for place, (task, metrics) in enumerate(tasks.items())
        for metric in metrics.split()
        for step in steps
    ]
    names = ["size", "seed", "step", "task", "metric", "shots", "value", "stderr", "higher_is_better"]
    table = pd.DataFrame(rows, columns=names).astype({"shots": "Int64", "higher_is_better": "boolean"})
    low, high = table["value"] - 0.02, table["value"] + 0.02
    return table.assign(low=low, high=high, level=0.95, samples=pd.NA, limit=np.nan, source="a.json")
