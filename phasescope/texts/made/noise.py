"""Corrupted text: token sequences in which some tokens are swapped, shuffled or replaced.

After "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803), which follows the
perplexity of sequences with noise injected. The first token of a sequence is its beginning and is never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Int

    from phasescope.texts.inputs import Inputs

KIND = "noise"
RATES = (0.1, 0.2, 0.5)
# How text is decoded from two models (phasescope.visits.behaviour.contrast): noise of another sort.
METHODS = ("greedy", "nucleus")
# What tells sequences that were made in one way from those made in another: columns of the items.
ABOUT = ("kind", "rate", "small_weight", "large_weight")
# Tokens of a window within which `shuffle_near` shuffles.
NEAR = 8


@dataclass(frozen=True)
class Vocabulary:
    """What random tokens are drawn from: the number of entries, and how often each occurs in a corpus."""

    size: int
    counts: Int[np.ndarray, "size"]


@dataclass(frozen=True, eq=False)
class Noised:
    """Sequences corrupted in one way. `kind` is `clean` (at rate 0) or one of `NOISES`."""

    kind: str
    rate: float
    tokens: Int[np.ndarray, "sequences context"]


def noised(
    inputs: Inputs, kinds: tuple[str, ...], rates: tuple[float, ...], *, sequences: int, context: int, seed: int
) -> Iterator[Noised]:
    """The beginnings of the first output sequences of a run: clean, and corrupted in every kind at every rate.

    sequences, context: how many and how long, as far as the run has so many. Each kind and rate draws from `seed`
    alone, so that what one of them does is the same whatever else is asked for.

    Raises:
        PhasescopeError: an unknown kind, or a rate that is none.
    """
    clean = inputs.tokens[: min(sequences, inputs.output_sequences), :context]
    yield Noised("clean", 0.0, clean)
    for kind in kinds:
        for rate in rates:
            vocabulary = Vocabulary(inputs.vocabulary, inputs.counts)
            yield Noised(kind, rate, corrupted(clean, kind, rate, vocabulary, seed))


def corrupted(
    tokens: Int[np.ndarray, "sequences context"], kind: str, rate: float, vocabulary: Vocabulary, seed: int
) -> Int[np.ndarray, "sequences context"]:
    """Each sequence with about `rate` of its tokens, the first excepted, corrupted in that kind.

    Args:
        kind: `swap`: pairs of neighbours that do not overlap change places, each drawn alike; `shuffle`: tokens at
            random places are put in a random order among these places; `shuffle_near`: windows of 8 tokens are
            shuffled within; `replace`: by other tokens, all alike; `replace_unigram`: by tokens as often as they occur
            in the reference corpus, which may be those that were there.
        rate: of the tokens that take part; those of a shuffle may come to lie where they were.

    Raises:
        PhasescopeError: an unknown kind, or a rate outside 0 to 1.
    """
    if kind not in NOISES:
        raise PhasescopeError(f"There is no noise {kind!r}. {did_you_mean(kind, NOISES)}")
    if not 0 <= rate <= 1:
        raise PhasescopeError(f"A rate of noise lies between 0 and 1: {rate} does not. Try 0.1.")
    rows = []
    for number, row in enumerate(tokens):
        draw = np.random.default_rng([seed, number, *kind.encode(), round(1e6 * rate)])
        rows.append(np.concatenate([row[:1], NOISES[kind](row[1:], rate, vocabulary, draw)]))
    return np.stack(rows).astype(tokens.dtype)


def _swap(
    row: Int[np.ndarray, "n"], rate: float, vocabulary: Vocabulary, draw: np.random.Generator
) -> Int[np.ndarray, "n"]:
    pairs = int(round(rate * len(row)) // 2)
    # Drawn as if each pair were one place, then spread: no two overlap, and each such choice is as likely.
    first = np.sort(draw.choice(len(row) - pairs, pairs, replace=False)) + np.arange(pairs)
    order = np.arange(len(row))
    order[first], order[first + 1] = first + 1, first
    return row[order]


def _shuffle(
    row: Int[np.ndarray, "n"], rate: float, vocabulary: Vocabulary, draw: np.random.Generator
) -> Int[np.ndarray, "n"]:
    places = _places(len(row), rate, draw)
    made = row.copy()
    made[places] = row[draw.permutation(places)]
    return made


def _shuffle_near(
    row: Int[np.ndarray, "n"], rate: float, vocabulary: Vocabulary, draw: np.random.Generator
) -> Int[np.ndarray, "n"]:
    made = row.copy()
    windows = np.split(np.arange(len(row)), np.arange(NEAR, len(row), NEAR))
    for place in _places(len(windows), rate, draw):
        made[windows[place]] = row[draw.permutation(windows[place])]
    return made


def _replace(
    row: Int[np.ndarray, "n"], rate: float, vocabulary: Vocabulary, draw: np.random.Generator
) -> Int[np.ndarray, "n"]:
    places = _places(len(row), rate, draw)
    made = row.astype(np.int64)
    # One of the others: so far round the vocabulary from what is there.
    made[places] = (made[places] + draw.integers(1, max(vocabulary.size, 2), len(places))) % vocabulary.size
    return made


def _replace_unigram(
    row: Int[np.ndarray, "n"], rate: float, vocabulary: Vocabulary, draw: np.random.Generator
) -> Int[np.ndarray, "n"]:
    places = _places(len(row), rate, draw)
    made = row.copy()
    made[places] = draw.choice(len(vocabulary.counts), len(places), p=vocabulary.counts / vocabulary.counts.sum())
    return made


def _places(number: int, rate: float, draw: np.random.Generator) -> Int[np.ndarray, "chosen"]:
    places: Int[np.ndarray, "chosen"] = draw.choice(number, round(rate * number), replace=False)
    return places


NOISES: dict[
    str, Callable[[Int[np.ndarray, "n"], float, Vocabulary, np.random.Generator], Int[np.ndarray, "n"]]
] = {
    "swap": _swap,
    "shuffle": _shuffle,
    "shuffle_near": _shuffle_near,
    "replace": _replace,
    "replace_unigram": _replace_unigram,
}  # fmt: skip
