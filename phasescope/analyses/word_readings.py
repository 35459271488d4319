"""How probable every checkpoint of a run finds every word (or token) of the text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int

    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Counts, WordsRead


Trajectory: TypeAlias = "tuple[str, int, list[int], Float64[np.ndarray, 'steps measured']]"
"""Size, seed, steps, and the log-probability of every measured unit at each."""


@dataclass(frozen=True, eq=False)
class Units:
    """The words or tokens that every checkpoint was asked about, window by window.

    Attributes:
        words: every word in the windows; None for tokens.
        ids: their numbers; of tokens those of the vocabulary, of words those in the reference (-1 for unseen).
        place: of each in its window.
        sequence: the window of each.
        measured: those that have a log-probability.
    """

    words: WordsRead | None
    ids: Int[np.ndarray, "units"]
    place: Int[np.ndarray, "units"]
    sequence: Int[np.ndarray, "units"]
    measured: Bool[np.ndarray, "units"]

    @property
    def starts(self) -> Int[np.ndarray, "sequences"]:
        """Where the measured units of each window begin that has any."""
        sequence = self.sequence[self.measured]
        return np.flatnonzero(np.concatenate([[True], sequence[1:] != sequence[:-1]])) if len(sequence) else sequence

    def log_probabilities(
        self, surprisal: Float64[np.ndarray, "sequences context-1"]
    ) -> Float64[np.ndarray, "measured"]:
        """Of the measured units, in nats."""
        return -surprisal.ravel() if self.words is None else self.words.log_probabilities(surprisal)


def word_units(reader: RunReader, counts: Counts | None = None) -> Units:
    """The words of a run's windows, numbered as `counts` does."""
    from phasescope.texts import words_read

    read = words_read(reader.inputs)
    ids = np.full(len(read), -1) if counts is None else counts.ids(read.words)
    return Units(read, ids, read.place, read.sequence, read.measured)


def token_units(reader: RunReader) -> Units:
    """The tokens of a run's windows; a first one that nothing stands before is not measured.

    A beginning-of-text token is none of them: no text has it, so it is nobody's context in a count either.
    """
    first = reader.inputs.first
    tokens = reader.inputs.tokens[: reader.inputs.output_sequences, first:]
    place = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    sequence = np.broadcast_to(np.arange(len(tokens))[:, None], tokens.shape)
    flat = place.ravel()
    return Units(None, tokens.ravel().astype(np.int64), flat, sequence.ravel(), flat + first > 0)


def read_trajectories(reader: RunReader, units: Units) -> Iterator[Trajectory]:
    """Each trajectory with outputs; steps without any are left out."""
    for size, seed, keys in reader.trajectories():
        steps, rows = [], []
        for key in keys:
            with reader.folder.open_shard(key) as shard:
                if "outputs/surprisal" not in shard.names("outputs"):
                    continue
                surprisal = shard.read("outputs/surprisal").astype(np.float64)
            steps.append(key.step)
            rows.append(units.log_probabilities(surprisal))
        if steps:
            yield size, seed, steps, np.stack(rows)
