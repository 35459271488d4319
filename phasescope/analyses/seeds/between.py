"""How far apart are the seeds of one size, for which tokens, and how far are models from other things?

After "Convergence and Divergence of Language Models under Different Random Seeds" (arXiv 2509.26643): expected
KL(p_i ‖ p_j) over ordered pairs of seeds i ≠ j at the same step and over tokens, in nats, whose negative is the
expected convergence; the same for groups of tokens (`seeds_by_group`), to the uniform and the unigram distribution
(`references`), across steps and sizes (`kl_across`), and of the next byte, across tokenizers (`next_byte`).
Intervals by a bootstrap over sequences. The KL of every token stays in the cohort's file. docs/analyses/seeds.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.analyses.resampled_means import mean_intervals
from phasescope.analyses.seeds.across import across_rows
from phasescope.analyses.seeds.by_group import contrast_rows, curves_of, group_rows, peak_rows
from phasescope.analyses.seeds.columns import (
    KL_ACROSS,
    REFERENCES,
    SEED_PAIRS,
    SEEDS,
    SEEDS_BY,
    SEEDS_BY_CONTRASTS,
    SEEDS_BY_PEAKS,
    TURNS,
)
from phasescope.analyses.seeds.next_byte import next_byte_table
from phasescope.analyses.seeds.references import read_references, reference_rows, turn_of
from phasescope.analyses.seeds.token_groups import token_groups, usual
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from jaxtyping import Float
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


@dataclass
class _Apart:
    """How far apart the seeds of one size are: the mean over pairs, for every token, step by step."""

    steps: list[int] = field(default_factory=list)
    kl: list[Float[np.ndarray, "sequences positions"]] = field(default_factory=list)


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `seeds` (one row per size and step), `seed_pairs` (one per ordered pair too), `seeds_by`,
    `seeds_by_peaks` and `seeds_by_contrasts` (groups of tokens), `references` and `reference_turns` (KL to uniform and
    unigram), `kl_across` (steps and sizes) and `next_byte`.
    """
    reader.require_shards()
    rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}
    apart = {size: _Apart() for size in reader.sizes}
    for size, step, seeds, kl in _cohorts(reader):
        missing = [seed for seed in reader.planned_seeds(size) if seed not in seeds]
        mean, pairs = _intervals(kl, seeds, options)
        shape = (len(seeds), " ".join(map(str, missing)), kl.shape[2], kl.shape[2] * kl.shape[3])
        rows["seeds"].append((size, step, *mean, -mean[0], options.level, *shape))
        rows["seed_pairs"] += [(size, step, *pair, *numbers, options.level) for pair, numbers in pairs]
        apart[size].steps.append(step)
        apart[size].kl.append(_mean_of_pairs(kl))
    groups = (
        token_groups(reader, options.by or usual(reader.inputs))
        if any(found.steps for found in apart.values())
        else None
    )
    for size, found in apart.items():
        references = read_references(reader, size)
        rows["references"] += reference_rows(references, options)
        turn = turn_of(size, references, dict(zip(found.steps, found.kl, strict=True)), options)
        rows["reference_turns"] += [] if turn is None else [turn.row]
        if groups is not None and found.steps:
            curves = curves_of(found.steps, np.stack(found.kl), groups(size), options)
            rows["seeds_by"] += group_rows(size, curves, options)
            later = curves.since(turn.step if turn is not None and turn.turns else found.steps[0])
            rows["seeds_by_peaks"] += peak_rows(size, later, options)
            rows["seeds_by_contrasts"] += contrast_rows(size, later, options)
    rows["kl_across"] += across_rows(reader, options)
    tables = {name: as_table(rows[name], columns) for name, columns in _TABLES.items()}
    return tables | {"next_byte": next_byte_table(reader, options)}


_TABLES = {
    "seeds": SEEDS,
    "seed_pairs": SEED_PAIRS,
    "seeds_by": SEEDS_BY,
    "seeds_by_peaks": SEEDS_BY_PEAKS,
    "seeds_by_contrasts": SEEDS_BY_CONTRASTS,
    "references": REFERENCES,
    "reference_turns": TURNS,
    "kl_across": KL_ACROSS,
}


def _cohorts(
    reader: RunReader,
) -> Iterator[tuple[str, int, list[int], Float[np.ndarray, "seeds seeds sequences positions"]]]:
    """Every cohort once, smallest size first, by step."""
    order = {size: number for number, size in enumerate(reader.sizes)}
    omitted = reader.omitted
    there = [(size, step) for size, step in reader.folder.cohorts() if size in order]
    for size, step in sorted(there, key=lambda cohort: (order[cohort[0]], cohort[1])):
        with reader.folder.open_cohort(size, step) as cohort:
            seeds, kl = [int(seed) for seed in cohort.read("seeds")], cohort.read("kl")
        kept = [place for place, seed in enumerate(seeds) if ShardKey(size, seed, step) not in omitted]
        if len(kept) > 1:
            yield size, step, [seeds[place] for place in kept], kl[np.ix_(kept, kept)]


def _mean_of_pairs(
    kl: Float[np.ndarray, "seeds seeds sequences positions"],
) -> Float[np.ndarray, "sequences positions"]:
    """Over ordered pairs; the KL of a seed to itself is 0, so the diagonal may stay in the sum."""
    mean: Float[np.ndarray, "sequences positions"] = kl.sum((0, 1)) / (len(kl) * (len(kl) - 1))
    return mean


def _intervals(
    kl: Float[np.ndarray, "seeds seeds sequences positions"], seeds: list[int], options: Options
) -> tuple[tuple[float, float, float], list[tuple[tuple[int, int], tuple[float, float, float]]]]:
    """Mean and interval over all pairs, and of each pair: all from the same resamples of the sequences."""
    numbers = [(i, j) for i in range(len(kl)) for j in range(len(kl)) if i != j]
    rows = np.stack([_mean_of_pairs(kl), *(kl[i, j] for i, j in numbers)])
    found = mean_intervals(rows, options)
    return found[0], [((seeds[i], seeds[j]), triple) for (i, j), triple in zip(numbers, found[1:], strict=True)]
