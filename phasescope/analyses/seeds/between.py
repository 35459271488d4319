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
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.cohorts import parts_by_cohort
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
    from jaxtyping import Float, Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Part

# Goes up when the same cohorts give other numbers.
_VERSION = 1


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
    for cohort in _cohorts(reader, options):
        size, step, seeds = cohort.size, cohort.step, cohort.seeds
        missing = [seed for seed in reader.planned_seeds(size) if seed not in seeds]
        mean, *pairs = cohort.means.tolist()
        shape = (len(seeds), " ".join(map(str, missing)), len(cohort.kl), cohort.kl.size)
        rows["seeds"].append((size, step, *mean, -mean[0], options.level, *shape))
        ordered = permutations(seeds, 2)
        rows["seed_pairs"] += [
            (size, step, *pair, *row, options.level) for pair, row in zip(ordered, pairs, strict=True)
        ]
        apart[size].steps.append(step)
        apart[size].kl.append(cohort.kl)
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


@dataclass(frozen=True, eq=False)
class _Cohort:
    """How far apart some seeds are at one step.

    means: with intervals, over all ordered pairs, and of each pair: all from the same resamples of the sequences.
    kl: the mean over pairs, for every token.
    """

    size: str
    step: int
    seeds: list[int]
    means: Float64[np.ndarray, "1+pairs 3"]
    kl: Float[np.ndarray, "sequences positions"]


def _cohorts(reader: RunReader, options: Options) -> Iterator[_Cohort]:
    """Every cohort once, smallest size first, by step; each of the seeds that are read, where two are left."""
    asked = (_VERSION, options.resamples, options.seed, options.level)
    for size, step, part in parts_by_cohort(reader, "seeds", asked, partial(_part, reader, reader.omitted, options)):
        if len(seeds := part["seeds"].tolist()) > 1:
            yield _Cohort(size, step, seeds, part["means"], part["kl"])


def _part(reader: RunReader, omitted: frozenset[ShardKey], options: Options, size: str, step: int) -> Part:
    with reader.folder.open_cohort(size, step) as cohort:
        seeds, kl = [int(seed) for seed in cohort.read("seeds")], cohort.read("kl")
    kept = [place for place, seed in enumerate(seeds) if ShardKey(size, seed, step) not in omitted]
    kl = kl[np.ix_(kept, kept)]
    mean = _mean_of_pairs(kl)
    rows = np.stack([mean, *(kl[i, j] for i, j in permutations(range(len(kept)), 2))])
    return {
        "seeds": np.array([seeds[place] for place in kept], dtype=np.int64),
        "means": np.array(mean_intervals(rows, options)),
        "kl": mean,
    }


def _mean_of_pairs(
    kl: Float[np.ndarray, "seeds seeds sequences positions"],
) -> Float[np.ndarray, "sequences positions"]:
    """Over ordered pairs; the KL of a seed to itself is 0, so the diagonal may stay in the sum. NaN of one seed."""
    with np.errstate(invalid="ignore"):
        mean: Float[np.ndarray, "sequences positions"] = kl.sum((0, 1)) / kl.dtype.type(len(kl) * (len(kl) - 1))
    return mean
