"""The words that a run's models read, and how probable a model found them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

    from phasescope.texts.inputs import Inputs

_WORD_CHARACTER = re.compile(r"\w")


@dataclass(frozen=True, eq=False)
class WordsRead:
    """Every word in the windows that feed the outputs, in the order of the text; punctuation is no word.

    Attributes:
        words: as written.
        sequence: in which window.
        place: how many words of the window come before it.
        index: in `Inputs.words` (and `Inputs.tags`).
        measured: whether a model says how probable the whole word is: all of its tokens are in the window, and the
            first of them has some text before it. A word that reaches the beginning or the end of a window may go on
            beyond it, so it is not measured.
        word_of_token: for every token but the first of each window, window by window, the place of its word in this
            list; as many as there are words for a token of none.
    """

    words: list[str]
    sequence: Int[np.ndarray, "words"]
    place: Int[np.ndarray, "words"]
    index: Int[np.ndarray, "words"]
    measured: Bool[np.ndarray, "words"]
    word_of_token: Int[np.ndarray, "tokens"]

    def __len__(self) -> int:
        return len(self.words)

    def log_probabilities(
        self, surprisal: Float[np.ndarray, "sequences context-1"]
    ) -> Float[np.ndarray, "measured_words"]:
        """ln p(word | context) in nats: minus the sum of the surprisals of its tokens, of the words that are measured.

        Args:
            surprisal: of each window; column j is about the token at position j + 1.

        Raises:
            ValueError: the surprisal is not of these windows.
        """
        if surprisal.size != len(self.word_of_token):
            raise ValueError(f"surprisal {surprisal.shape} is not of windows with {len(self.word_of_token)} tokens")
        # The last bin takes the tokens that belong to no word.
        sums = np.bincount(self.word_of_token, weights=surprisal.ravel(), minlength=len(self) + 1)
        found: Float[np.ndarray, "measured_words"] = -sums[: len(self)][self.measured]
        return found


def words_read(inputs: Inputs) -> WordsRead:
    """The words in the first `inputs.output_sequences` windows."""
    ids = inputs.word_ids[: inputs.output_sequences]
    is_word = np.array([bool(_WORD_CHARACTER.search(word)) for word in inputs.words], dtype=bool)
    of_word = (ids >= 0) & (is_word[ids] if len(is_word) else False)
    rows, columns = np.nonzero(of_word)
    # Words have rising numbers along the text, so one number tells both the window and the word.
    key = rows.astype(np.int64) * (len(inputs.words) + 1) + ids[rows, columns]
    _, first, inverse, counts = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
    sequence = rows[first]
    starts = columns[first]
    ends = columns[np.cumsum(counts) - 1] if len(counts) else starts
    index = ids[rows, columns][first]
    word_of = np.full(ids.shape, len(first), dtype=np.int64)
    word_of[rows, columns] = inverse
    return WordsRead(
        words=[inputs.words[i] for i in index],
        sequence=sequence,
        place=np.arange(len(sequence)) - np.searchsorted(sequence, sequence),
        index=index,
        measured=(starts > inputs.first) & (ends < inputs.context - 1),
        word_of_token=word_of[:, 1:].ravel(),
    )
