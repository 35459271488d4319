"""Which tokens are still learned, which stagnate, and do sizes line up at the same perplexity?

After "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803): the trend of every
token's perplexity after so many percent of training (`phasescope.measures.trajectory_classes`), the same tokens
compared across sizes, and behaviour against validation perplexity instead of step (`against_perplexity`,
`size_alignment`). Validation perplexity is that of the run's output sequences. Intervals by a bootstrap over sequences.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement, permutations, product
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.analyses.trajectories.against_perplexity import against_perplexity
from phasescope.analyses.trajectories.behaviours import Behaviour, behaviours_of, kl_between_seeds
from phasescope.analyses.trajectories.columns import AGREEMENT, PERCENTS, TOKENS, TRAJECTORIES, TRANSITIONS
from phasescope.analyses.trajectories.outputs import FEWEST, outputs_of
from phasescope.analyses.trajectories.per_sequence import PerSequence, ratio_of
from phasescope.analyses.trajectories.size_alignment import size_alignment

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int8
    from numpy import ndarray
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

    Array = ndarray[Any, Any]


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `trajectories` (shares of classes), `token_classes`, `class_transitions`, `class_agreement`,
    `against_perplexity` and `size_alignment`; empty where no size and seed has outputs at three steps.
    """
    reader.require_shards()
    shares: list[tuple[Any, ...]] = []
    classes: dict[tuple[str, int], Array] = {}
    behaviours: list[Behaviour] = []
    for run in outputs_of(reader):
        classes[run.size, run.seed] = mine = classes_along(run.surprisal, run.steps, options.trend_over)
        shares += [(run.size, run.seed, *row) for row in share_rows(mine, run.steps, options)]
        # The study follows the tokens of a class in one size through all sizes; here that is the smallest.
        followed = next(iter(classes.values()))[0]
        behaviours += behaviours_of(run, followed)
    behaviours += list(kl_between_seeds(reader, behaviours))
    transitions, agreement = _compared(classes, options)
    return {
        "trajectories": as_table(shares, TRAJECTORIES),
        "token_classes": _token_table(reader, classes),
        "class_transitions": as_table(transitions, TRANSITIONS),
        "class_agreement": as_table(agreement, AGREEMENT),
        "against_perplexity": against_perplexity(behaviours, options),
        "size_alignment": size_alignment(behaviours, options),
    }


def classes_along(
    surprisal: Float[Array, "checkpoints sequences positions"], steps: Sequence[int], trend_over: str
) -> Int8[Array, "percents sequences positions"]:
    """The class of every token after each of `PERCENTS` of training.

    trend_over: the x of the regression: `log` of the step (the study's), `order` of the checkpoints, or `step`.
    """
    from phasescope.measures import trajectory_classes

    tokens = np.ascontiguousarray(surprisal.reshape(len(steps), -1).T)  # [tokens, checkpoints]
    found = []
    for percent in PERCENTS:
        first = _first_after(steps, percent)
        window = np.asarray(steps[first:], float)
        x = {"log": np.log(window), "order": np.arange(len(window)), "step": window}[trend_over]
        found.append(trajectory_classes(tokens[:, first:], x).numpy())
    return np.stack(found).reshape(len(PERCENTS), *surprisal.shape[1:])


def _first_after(steps: Sequence[int], percent: int) -> int:
    """The place of the first checkpoint at or after so many percent of the last step; never the untrained model."""
    return next((i for i, step in enumerate(steps) if step and 100 * step >= percent * steps[-1]), len(steps))


def share_rows(classes: Array, steps: Sequence[int], options: Options) -> Iterator[tuple[Any, ...]]:
    """A row for each percent and class."""
    from phasescope.measures import NO_CLASS, TRAJECTORY_CLASSES, interval

    has = classes[:, None] == np.arange(len(TRAJECTORY_CLASSES))[:, None, None]  # [percents, classes, sequences, …]
    known = np.broadcast_to((classes != NO_CLASS)[:, None], has.shape)
    shape = has.shape[:2]
    counts = (part.sum(3, dtype=np.float64).reshape(-1, has.shape[2]) for part in (has, known))
    shares = PerSequence(*counts)
    edges = interval(shares.replicates(options), shares.mean, options.level)
    numbers = np.stack([shares.mean, *(edge.numpy() for edge in edges)], 1).reshape(*shape, 3).tolist()
    for percent, found, of_classes in zip(PERCENTS, classes, numbers, strict=True):
        first = _first_after(steps, percent)
        left, tokens = len(steps) - first, int((found != NO_CLASS).sum())
        where = (steps[first] if left else None, steps[-1], left, options.level, len(found), tokens)
        reason = "" if tokens else _why_no_class(percent, left)
        for name, row in zip(TRAJECTORY_CLASSES, of_classes, strict=True):
            yield (percent, name, *row, *where, reason)


def _why_no_class(percent: int, left: int) -> str:
    few = f"{left} checkpoint{'' if left == 1 else 's'}" if left else "no checkpoint"
    if left < FEWEST:
        return f"{few} from {percent} % of training on: a trend needs {FEWEST}"
    return "no token has a surprisal at three checkpoints"


def _token_table(reader: RunReader, classes: dict[tuple[str, int], Array]) -> DataFrame:
    """A row for each size, seed and token. Column j of the outputs is about token j + 1 of its sequence."""
    import pandas as pd

    from phasescope.measures import TRAJECTORY_CLASSES

    names = np.array([*TRAJECTORY_CLASSES, None], dtype=object)  # NO_CLASS, −1, is the last
    sizes, parts = list(dict.fromkeys(size for size, _ in classes)), []
    for (size, seed), found in classes.items():
        sequence, column = (axis.ravel() for axis in np.indices(found.shape[1:]))
        tokens = reader.inputs.tokens[sequence, column + 1]
        columns: dict[str, Any] = {"size": pd.Categorical([size] * len(tokens), categories=sizes), "seed": seed}
        columns |= {"sequence": sequence, "position": column + 1, "token": tokens}
        for percent, of_tokens in zip(PERCENTS, found, strict=True):
            columns[f"after_{percent}"] = pd.Categorical(names[of_tokens.ravel()], categories=TRAJECTORY_CLASSES)
        parts.append(pd.DataFrame(columns))
    return (pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(TOKENS))).astype(TOKENS)


def _compared(
    classes: dict[tuple[str, int], Array], options: Options
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Rows of `class_transitions` and `class_agreement`: of every two sizes, and of the seeds within each size."""
    transitions: list[tuple[Any, ...]] = []
    agreement: list[tuple[Any, ...]] = []
    for a, b, seeds, pairs in _pairs(list(classes)):
        for number, percent in enumerate(PERCENTS):
            tables = _contingency([(classes[a, i][number], classes[b, j][number]) for i, j in pairs])
            if not tables.any():
                continue
            where = (a, b, seeds, percent)
            transitions += [(*where, *row, options.level) for row in _transition_rows(tables, options)]
            counts = (len(pairs) // 2 if a == b else len(pairs), len(tables), round(tables.sum() / len(pairs)))
            agreement.append((*where, *_agreement(tables, options), options.level, *counts))
    return transitions, agreement


def _pairs(models: Sequence[tuple[str, int]]) -> Iterator[tuple[str, str, str, list[tuple[int, int]]]]:
    """Of two sizes the pairs of seeds that are compared, apart by whether they have one number.

    In many suites, as in the nursery, the seed sets the order of the data too, and the study's models read the same
    data in the same order: those are the pairs of the same seed.
    """
    seeds = {size: [seed for name, seed in models if name == size] for size, _ in models}
    for a, b in combinations_with_replacement(seeds, 2):
        # Of the seeds of one size neither is the first of a pair, so each stands in both places.
        pairs = list(permutations(seeds[a], 2)) if a == b else list(product(seeds[a], seeds[b]))
        for name in ("same", "different"):
            if chosen := [pair for pair in pairs if (pair[0] == pair[1]) == (name == "same")]:
                yield a, b, name, chosen


def _contingency(pairs: Sequence[tuple[Array, Array]]) -> Float64[Array, "sequences classes classes"]:
    """How many tokens of each sequence have one class here and one there, summed over pairs."""
    from phasescope.measures import NO_CLASS, TRAJECTORY_CLASSES

    kinds = len(TRAJECTORY_CLASSES)
    total = np.zeros((len(pairs[0][0]), kinds, kinds))
    for first, second in pairs:
        known = (first != NO_CLASS) & (second != NO_CLASS)
        sequence = np.nonzero(known)[0]
        cell = (sequence * kinds + first[known]) * kinds + second[known]
        total += np.bincount(cell, minlength=total.size).reshape(total.shape)
    return total


def _transition_rows(tables: Array, options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.measures import TRAJECTORY_CLASSES, interval

    joint = tables.sum(0) / tables.sum()
    given = ratio_of(joint, joint.sum(1, keepdims=True))
    drawn = _resampled(tables, options)
    low, high = interval(ratio_of(drawn, drawn.sum((1, 2), keepdims=True)), joint, options.level)
    for (i, a), (j, b) in product(enumerate(TRAJECTORY_CLASSES), repeat=2):
        yield a, b, float(joint[i, j]), float(low[i, j]), float(high[i, j]), float(given[i, j])


def _agreement(tables: Array, options: Options) -> Iterator[float]:
    """Cohen's kappa and the share of tokens with one class in both, each with its interval."""
    from phasescope.measures import interval

    for measure in (cohens_kappa, _same):
        estimate = measure(tables.sum(0))
        low, high = interval(measure(_resampled(tables, options)), estimate, options.level)
        yield from (float(estimate), float(low), float(high))


def cohens_kappa(tables: Float64[Array, "... classes classes"]) -> Float64[Array, "..."]:
    """Agreement of two classifications beyond chance (Cohen 1960): 1 is all, 0 is what their shares alone would give.

    NaN where chance alone agrees on all: both know one class only.
    """
    total = tables.sum((-2, -1))
    chance = ratio_of((tables.sum(-1) * tables.sum(-2)).sum(-1), total**2)
    return ratio_of(_same(tables) - chance, 1 - chance)


def _same(tables: Array) -> Array:
    return ratio_of(np.trace(tables, axis1=-2, axis2=-1), tables.sum((-2, -1)))


def _resampled(tables: Array, options: Options) -> Float64[Array, "resamples classes classes"]:
    """Contingency tables of resamples of the sequences; NaN of one sequence."""
    from phasescope.measures import bootstrap_weights

    if len(tables) < 2:
        return np.full((options.resamples, *tables.shape[1:]), np.nan)
    weights = bootstrap_weights(len(tables), options.resamples, options.seed).numpy().astype(np.float64)
    return np.tensordot(weights, tables, 1)
