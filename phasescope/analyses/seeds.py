"""How far apart are the seeds of one size?

Expected KL(p_i ‖ p_j) over ordered pairs of seeds i ≠ j at the same step and over tokens, in nats; minus that is the
expected convergence of "Convergence and Divergence of Language Models under Different Random Seeds" (arXiv 2509.26643).
Intervals by a bootstrap over sequences. The KL of every token stays in the cohort's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.reader import RunReader
    from phasescope.analyses.registry import Options

SEEDS = {
    "size": "str", "step": "int64", "kl": "float64", "low": "float64", "high": "float64", "convergence": "float64",
    "level": "float64", "seeds": "int64", "missing": "str", "sequences": "int64", "tokens": "int64",
}  # fmt: skip
SEED_PAIRS = {
    "size": "str", "step": "int64", "seed_p": "int64", "seed_q": "int64", "kl": "float64", "low": "float64",
    "high": "float64", "level": "float64",
}  # fmt: skip


def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `seeds` (one row per size and step) and `seed_pairs` (one per ordered pair too)."""
    import torch

    reader.require_shards()
    seeds_rows: list[tuple[Any, ...]] = []
    pair_rows: list[tuple[Any, ...]] = []
    for size, step in reader.folder.cohorts():
        with reader.folder.open_cohort(size, step) as cohort:
            kl = torch.from_numpy(cohort.read("kl"))
            seeds = [int(seed) for seed in cohort.read("seeds")]
        missing = [seed for seed in reader.planned_seeds(size) if seed not in seeds]
        mean, low, high, pairs = _intervals(kl, options)
        shape = (len(seeds), " ".join(map(str, missing)), kl.shape[2], kl.shape[2] * kl.shape[3])
        seeds_rows.append((size, step, mean, low, high, -mean, options.level, *shape))
        pair_rows += [(size, step, seeds[i], seeds[j], *numbers, options.level) for (i, j), numbers in pairs.items()]
    order = {size: number for number, size in enumerate(reader.sizes)}
    seeds_rows.sort(key=lambda row: (order.get(row[0], len(order)), row[1]))
    pair_rows.sort(key=lambda row: (order.get(row[0], len(order)), *row[1:4]))
    return {"seeds": as_table(seeds_rows, SEEDS), "seed_pairs": as_table(pair_rows, SEED_PAIRS)}


def _intervals(
    kl: Tensor, options: Options
) -> tuple[float, float, float, dict[tuple[int, int], tuple[float, float, float]]]:
    """Mean and interval over all pairs, and of each pair."""
    import torch

    from phasescope.measures import clustered_mean_interval

    number = len(kl)
    pairs = {(i, j): kl[i, j] for i in range(number) for j in range(number) if i != j}
    each = {
        pair: _floats(
            clustered_mean_interval(values, seed=options.seed, level=options.level, resamples=options.resamples)
        )
        for pair, values in pairs.items()
    }
    together = torch.stack(list(pairs.values())).mean(0)
    return (
        *_floats(
            clustered_mean_interval(together, seed=options.seed, level=options.level, resamples=options.resamples)
        ),
        each,
    )


def _floats(values: tuple[Tensor, Tensor, Tensor]) -> tuple[float, float, float]:
    mean, low, high = values
    return float(mean), float(low), float(high)
