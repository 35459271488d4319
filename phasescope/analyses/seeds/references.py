"""How far are models from knowing nothing, and from knowing word frequencies alone? (study B)

KL(p ‖ uniform) = ln V − H(p) follows from the entropy that every shard holds. KL(p ‖ unigram) was made in the same
softmax; of runs from before it was, comparing across steps makes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.resampled_means import of_sequences, resampled_means, resampled_ratios
from phasescope.analyses.seed_ends import short_seeds
from phasescope.measures.peaks import across_seeds, highest

if TYPE_CHECKING:
    from jaxtyping import Float, Float64

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Part, ShardKey

# Goes up when the same shards give other numbers.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Reference:
    """One checkpoint's KL to uniform and unigram: of each sequence its sum, and over how many tokens.

    positions: of each sequence. known: whether anybody made the KL to the unigram; its counts are 0 where not.
    """

    key: ShardKey
    sums: Float64[np.ndarray, "2 sequences"]
    counts: Float64[np.ndarray, "2 sequences"]
    positions: int
    known: bool


def read_references(reader: RunReader, size: str) -> list[Reference]:
    """Of all checkpoints of a size that have outputs, by seed and step."""
    found = []
    asked = (_VERSION, reader.inputs.vocabulary)
    for key, part in parts_by_shard(reader, "seeds", asked, partial(_part, reader), sizes=[size]):
        for positions, known in zip(part["positions"].tolist(), part["known"].tolist(), strict=True):
            sums, counts = part["sums"], part["counts"]
            if not known and (later := _made_later(reader, key)) is not None:
                sums, counts = np.stack([sums[0], later[0]]), np.stack([counts[0], later[1]])
                known = True
            found.append(Reference(key, sums, counts, positions, bool(known)))
    return found


def _part(reader: RunReader, key: ShardKey) -> Part:
    """What a shard alone says; nothing where it has no outputs."""
    with reader.folder.open_shard(key) as shard:
        names = shard.names("outputs")
        if "outputs/entropy" not in names:
            none, one = np.zeros((0, reader.inputs.output_sequences)), np.zeros(0, dtype=np.int64)
            return {"sums": none, "counts": none, "positions": one, "known": one}
        entropy = shard.read("outputs/entropy").astype(np.float64)
        known = "outputs/kl_unigram" in names
        unigram = shard.read("outputs/kl_unigram") if known else np.full(entropy.shape, np.nan)
    # Rounding may put the entropy of an untrained model a hair above its limit.
    uniform = np.maximum(math.log(reader.inputs.vocabulary) - entropy, 0)
    sums, counts = zip(*map(of_sequences, (uniform, unigram)), strict=True)
    numbers = {"positions": np.array([entropy.shape[1]]), "known": np.array([int(known)])}
    return {"sums": np.stack(sums), "counts": np.stack(counts), **numbers}


def _made_later(
    reader: RunReader, key: ShardKey
) -> tuple[Float64[np.ndarray, "sequences"], Float64[np.ndarray, "sequences"]] | None:
    from phasescope.store import open_container

    path = reader.folder.step_comparison(key)
    if not path.is_file():
        return None
    with open_container(path, "comparison") as made:
        return of_sequences(made.read("kl_unigram")) if "kl_unigram" in made.names() else None


def reference_rows(references: list[Reference], options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `references`, one per checkpoint."""
    from phasescope.measures import interval

    if not references:
        return
    sums, counts = (np.concatenate([getattr(one, name) for one in references]) for name in ("sums", "counts"))
    mean, drawn = resampled_ratios(sums, counts, options)
    numbers = np.stack([mean, *interval(drawn, mean, options.level)], 1).reshape(len(references), 6).tolist()
    for found, row in zip(references, numbers, strict=True):
        reason = "" if found.known else "captured before the KL to the unigram was: phasescope compare"
        key, sequences = found.key, found.sums.shape[1]
        yield (key.size, key.seed, key.step, *row, options.level, sequences, sequences * found.positions, reason)


@dataclass(frozen=True)
class Turn:
    """Where the KL to the unigram is lowest, whether it turns there, and the row of `reference_turns` that says so."""

    step: int
    turns: bool
    row: tuple[Any, ...]


def turn_of(
    size: str,
    references: list[Reference],
    apart: Mapping[int, Float[np.ndarray, "sequences positions"]],
    options: Options,
) -> Turn | None:
    """Where the KL to the unigram is lowest, and what the seeds do from there on; None for fewer than three steps.

    Of the mean over seeds; sequences are drawn anew, and seeds too where there are several. `turns`: the lowest is
    neither the first nor the last step, and both ends are higher by more than the intervals allow for. `seeds_part`:
    from there on the KL between seeds grows by more than its interval allows for.

    apart: the KL between seeds at each step, for every token.
    """
    from phasescope.measures import interval

    curve = _mean_over_seeds(references, options)
    if curve is None:
        return None
    steps, mean, drawn, seeds = curve
    at, last = int(mean.argmin()), len(steps) - 1
    places = steps[highest(-drawn, -mean)]
    tail = (1 - options.level) / 2
    edges = np.quantile(places, [tail, 1 - tail], method="nearest") if not np.isnan(drawn).all() else steps[[0, -1]]
    turn = int(steps[at])
    changes: list[float] = []
    for end in (0, last):
        change = mean[end] - mean[at]
        low, high = interval(drawn[:, end] - drawn[:, at], np.array(change), options.level)
        changes += [float(change), float(low), float(high)]
    turns = 0 < at < last and changes[1] > 0 and changes[4] > 0
    growth = _growth(apart, turn, options)
    row = (
        size, turn, min(int(edges[0]), turn), max(int(edges[1]), turn), mean[0], mean[at], mean[last], *changes,
        *growth, turns, growth[4] > 0, options.level, seeds,
    )  # fmt: skip
    return Turn(turn, turns, row)


def _mean_over_seeds(references: list[Reference], options: Options) -> Any:
    """Steps that every seed has, the mean curve, its replicates, how many seeds; None for fewer than three steps.

    Seeds that end before others are left out of the mean, which would end with them.
    """
    known = {(found.key.seed, found.key.step): (found.sums[1], found.counts[1]) for found in references if found.known}
    ends = {seed: max(s for k, s in known if k == seed) for seed, _ in known}
    seeds = sorted(set(ends) - set(short_seeds(ends)))
    steps = sorted(set.intersection(*({s for k, s in known if k == seed} for seed in seeds))) if seeds else []
    if len(steps) < 3:
        return None
    each, replicates = [], []
    for seed in seeds:
        sums, counts = (np.stack([known[seed, step][which] for step in steps]) for which in range(2))
        mean, drawn = resampled_ratios(sums, counts, options)
        each.append(mean)
        replicates.append(drawn)
    curves, drawn = np.stack(each)[:, None], np.stack(replicates, 1)[:, :, None]
    together, resampled = across_seeds(curves, drawn, options.resamples, options.seed)
    return np.array(steps), together[0], resampled[:, 0], len(seeds)


def _growth(
    apart: Mapping[int, Float[np.ndarray, "sequences positions"]], turn: int, options: Options
) -> tuple[float, int | None, float, float, float, float]:
    """KL between seeds at the turn; where it is highest from there on, how high, and the difference with interval."""
    from phasescope.measures import interval

    later = [step for step in sorted(apart) if step >= turn]
    if turn not in apart or len(later) < 2:
        return math.nan, None, *(math.nan,) * 4
    means, drawn = resampled_means(np.stack([apart[step] for step in later]), options)
    top = int(means.argmax())
    low, high = interval(drawn[:, top] - drawn[:, 0], np.array(means[top] - means[0]), options.level)
    return float(means[0]), later[top], float(means[top]), float(means[top] - means[0]), float(low), float(high)
