"""n-gram log-probabilities of words or tokens, by stupid backoff, from whatever can count n-grams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int

BACKOFF = 0.4
"""α of stupid backoff (Brants et al. 2007), what each step to a shorter context costs."""
ORDERS = 5


class Counts(Protocol):
    """A reference corpus that can be asked how often something occurs in it."""

    @property
    def total(self) -> int:
        """Words (or tokens) in the corpus."""

    @property
    def longest(self) -> int:
        """The longest n-grams that it can count; 1 for a list of words with their counts."""

    def ids(self, words: Sequence[str]) -> Int[np.ndarray, "words"]:
        """A number for each word, -1 for one that the corpus does not hold."""

    def count(self, grams: Int[np.ndarray, "grams n"]) -> Int[np.ndarray, "grams"]:
        """Occurrences of each n-gram; numbers are those of `ids`, none is -1."""


def ngram_log_probabilities(
    ids: Int[np.ndarray, "units"], place: Int[np.ndarray, "units"], counts: Counts, orders: int = ORDERS
) -> Float[np.ndarray, "orders units"]:
    """ln of the stupid-backoff score of every unit of a text, for n = 1 … `orders` (nats).

    S(w | c) = count(c w) / count(c) if c w was seen, else 0.4 · S(w | c without its first word); S(w) = count(w) / N, a
    word that was never seen counted as seen once (Brants et al. 2007; docs/analyses/heuristics.md). At the
    beginning of a window there are fewer than n - 1 words before: then the longest context there is takes the place
    of the whole, without a penalty.

    Args:
        ids: as `counts.ids` gives them, of windows one after another; -1 for unseen.
        place: of each unit in its window, 0 for the first.
        counts: of the reference corpus.
        orders: the largest n.

    Raises:
        ValueError: the corpus is empty.
    """
    if counts.total < 1:
        raise ValueError("a corpus without words has no n-grams")
    occurrences = _distinct(ids[:, None], ids >= 0, counts)
    scores = np.log(np.maximum(occurrences, 1) / counts.total)
    result = [scores]
    for n in range(2, orders + 1):
        inside = place >= n - 1
        shorter_context = np.concatenate([[0], occurrences[:-1]])  # count of the n-1 units before
        # An n-gram can only occur where both of its parts do.
        grams = np.stack([np.roll(ids, shift) for shift in range(n - 1, -1, -1)], axis=1)
        occurrences = _distinct(grams, inside & (occurrences > 0) & (shorter_context > 0), counts)
        seen = occurrences > 0
        ratio = np.divide(occurrences, shorter_context, out=np.ones(len(ids)), where=seen)
        scores = np.where(inside, np.where(seen, np.log(ratio), scores + np.log(BACKOFF)), scores)
        result.append(scores)
    return np.stack(result)


def _distinct(
    grams: Int[np.ndarray, "units n"], asked: Int[np.ndarray, "units"], counts: Counts
) -> Int[np.ndarray, "units"]:
    """How often each n-gram occurs; 0 where it is not asked for. Every different one is counted once."""
    found = np.zeros(len(grams), dtype=np.int64)
    if asked.any():
        different, inverse = np.unique(grams[asked], axis=0, return_inverse=True)
        found[asked] = counts.count(different)[inverse.ravel()]
    return found
