"""How much a word is about what the words before it are: cosine of vectors (study C, docs/analyses/heuristics.md)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError, require_library
from phasescope.store import replacing

if TYPE_CHECKING:
    from jaxtyping import Float, Int

DIMENSIONS, EPOCHS, BUCKETS = 100, 5, 50_000
_LONGEST_SENTENCE = 10_000  # words; gensim leaves out what is behind them


class Vectors:
    """Vectors of words, from a file (`read`) or trained on a corpus (`train`)."""

    def __init__(self, keyed: Any) -> None:
        self._keyed = keyed

    def of(self, words: Sequence[str]) -> Float[np.ndarray, "words dimensions"]:
        """One row for each word; NaN where there is no vector.

        fastText makes vectors of unseen words out of their parts; a word2vec file knows its own words only.
        """
        known: dict[str, Any] = {}
        nothing = np.full(self._keyed.vector_size, np.nan, dtype=np.float32)
        for word in set(words):
            try:
                known[word] = self._keyed.get_vector(word)
            except KeyError:
                known[word] = nothing
        return np.stack([known[word] for word in words]) if len(words) else np.empty((0, self._keyed.vector_size))

    @classmethod
    def read(cls, path: Path) -> Vectors:
        """fastText's `.bin`, or word2vec's format: text (`.vec`, `.txt`, also `.gz`) or binary (`.bin`).

        Raises:
            PhasescopeError: there is no such file, or it is of another kind.
        """
        require_library("gensim", "heuristics", "Similarity of words")
        from gensim.models import KeyedVectors
        from gensim.models.fasttext import load_facebook_vectors

        if not path.is_file():
            raise PhasescopeError(f"There is no file of word vectors {path}.")
        problems: list[str] = []
        loaders: list[Any] = [lambda: KeyedVectors.load_word2vec_format(str(path), binary=False)]
        if path.suffix == ".bin":
            loaders = [
                lambda: load_facebook_vectors(str(path)),
                lambda: KeyedVectors.load_word2vec_format(str(path), binary=True),
            ]
        for load in loaders:
            try:
                return cls(load())
            except Exception as error:  # whatever a parser that was given something else raises
                problems.append(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise PhasescopeError(
            f"{path} holds no word vectors that can be read ({'; '.join(problems)}). They come as fastText's .bin, or "
            "in word2vec's format: .vec, .txt or .bin."
        )

    @classmethod
    def train(cls, documents: Iterable[Sequence[str]], kept: Path) -> Vectors:
        """fastText vectors (Bojanowski et al. 2017) of a corpus, kept in the file `kept` and read from it next time.

        100 dimensions, five passes, words seen twice or more; seeded, in one thread: the same corpus gives the same
        vectors.

        Raises:
            PhasescopeError: no word occurs twice.
        """
        require_library("gensim", "heuristics", "Similarity of words")
        from gensim.models.fasttext import FastText, save_facebook_model

        if kept.is_file():
            return cls.read(kept)
        sentences = list(_sentences(documents))
        model = FastText(
            vector_size=DIMENSIONS, epochs=EPOCHS, bucket=BUCKETS, window=5, min_count=2, workers=1, seed=1, sg=0
        )
        model.build_vocab(corpus_iterable=sentences)
        if not len(model.wv):
            raise PhasescopeError("The reference corpus is too short for word vectors: no word occurs in it twice.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.train(corpus_iterable=sentences, total_examples=len(sentences), epochs=EPOCHS)
        with replacing(kept) as temporary:
            save_facebook_model(model, str(temporary))
        return cls(model.wv)


def _sentences(documents: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    for document in documents:
        for first in range(0, len(document), _LONGEST_SENTENCE):
            yield list(document[first : first + _LONGEST_SENTENCE])


def contextual_similarity(
    vectors: Float[np.ndarray, "words dimensions"], place: Int[np.ndarray, "words"], *, weighted: bool
) -> Float[np.ndarray, "words"]:
    """Cosine of each word's vector with the mean vector of the words before it in its window, in [-1, 1].

    Args:
        vectors: of the words of windows one after another; NaN for words without one, which count in no mean.
        place: of each word in its window, 0 for the first.
        weighted: the weight of the k-th word of the window is k, so that near words count more; else all count alike.

    Returns:
        NaN for the first word of a window, and where a vector is missing or null.
    """
    known = np.nan_to_num(vectors.astype(np.float64))
    weight = (place + 1.0)[:, None] if weighted else 1.0
    sums = np.cumsum(known * weight, axis=0)
    before = np.concatenate([np.zeros((1, known.shape[1])), sums[:-1]])
    # What had been summed up when the window began.
    starts = np.arange(len(place)) - place
    context = before - before[starts]
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = np.linalg.norm(context, axis=1) * np.linalg.norm(known, axis=1)
        cosine = np.einsum("wd,wd->w", context, known) / norms
    # Differences of running sums leave rounding errors where nothing is.
    return np.where((place > 0) & (norms > 1e-9), cosine, np.nan)
