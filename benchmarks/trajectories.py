"""What it costs to say of 100 000 tokens × 150 checkpoints which are still learned, for all percentages of training.

Run `python -m benchmarks trajectories`.
"""

from __future__ import annotations

import math
import multiprocessing
import resource
from time import perf_counter, process_time

import numpy as np

from phasescope.analyses import Options
from phasescope.analyses.trajectories.classes import classes_along, share_rows
from phasescope.analyses.trajectories.columns import PERCENTS

CHECKPOINTS, SEQUENCES, POSITIONS = 150, 400, 250


def planted() -> tuple[list[int], np.ndarray]:
    """Steps, and surprisals [checkpoints, sequences, positions] of tokens that fall, rise, stay or rise and fall."""
    generator = np.random.default_rng(0)
    steps = [1000 * (i + 1) for i in range(CHECKPOINTS)]
    along = np.linspace(0, 1, CHECKPOINTS)[:, None]
    kinds = np.concatenate([-along, along, 0 * along, along * (1 - along)], axis=1)[:, np.arange(POSITIONS) % 4]
    surprisal = 4 + kinds[:, None, :] + 0.2 * generator.standard_normal((CHECKPOINTS, SEQUENCES, POSITIONS))
    return steps, surprisal.astype(np.float32)


def one_by_one(steps: list[int], surprisal: np.ndarray, tokens: int) -> float:
    """Seconds of the plain way, scipy's regression token by token, for so many tokens and one percentage."""
    from scipy.stats import linregress

    first = math.ceil(CHECKPOINTS / 10) - 1
    x, flat = np.log(steps[first:]), surprisal.reshape(CHECKPOINTS, -1)[first:]
    begun = perf_counter()
    for token in range(tokens):
        linregress(x, np.exp(flat[:, token]))
    return perf_counter() - begun


def _classify() -> tuple[float, float, float]:
    """Wall and processor seconds, and the peak memory in MiB beyond the surprisals, in a process of its own."""
    steps, surprisal = planted()
    classes_along(surprisal[:, :2], steps, "log")  # imports
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wall, work = perf_counter(), process_time()
    classes = classes_along(surprisal, steps, "log")
    list(share_rows(classes, steps, Options()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return perf_counter() - wall, process_time() - work, peak / 1024


def main() -> None:
    """Print the table."""
    print(f"{SEQUENCES * POSITIONS} tokens × {CHECKPOINTS} checkpoints, {len(PERCENTS)} percentages (target: < 10 s)")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        wall, work, peak = pool.apply(_classify)
    print(f"  classes, shares and their intervals {wall:24.1f} s   {work:.1f} s of processors, {peak:.0f} MiB")
    steps, surprisal = planted()
    few = 1000
    plain = one_by_one(steps, surprisal, few) / few * SEQUENCES * POSITIONS
    print(f"  scipy.stats.linregress token by token {plain:22.1f} s   one percentage, scaled up from {few} tokens")


if __name__ == "__main__":
    main()
