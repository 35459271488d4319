"""A list of words with their counts: a reference for frequencies, without n-grams."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.readers.lines import raw_lines
from phasescope.texts.readers.odd_rows import OddRows

if TYPE_CHECKING:
    from jaxtyping import Int


@dataclass(frozen=True, eq=False)
class WordCounts:
    """How often each word occurs in a corpus; implements `Counts` for single words."""

    words: dict[str, int]  # to their numbers
    occurrences: Int[np.ndarray, "words"]

    longest = 1

    @property
    def total(self) -> int:
        return int(self.occurrences.sum())

    def ids(self, words: Sequence[str]) -> Int[np.ndarray, "words"]:
        return np.array([self.words.get(word, -1) for word in words], dtype=np.int64)

    def count(self, grams: Int[np.ndarray, "grams 1"]) -> Int[np.ndarray, "grams"]:
        found: Int[np.ndarray, "grams"] = self.occurrences[grams[:, 0]]
        return found

    @classmethod
    def read(cls, path: Path) -> WordCounts:
        """A .tsv or .csv file: a word and its count on each line; a first line without a number is a heading. One odd
        line of many is left out and told.

        Raises:
            PhasescopeError: lines are not a word and a whole number (the first is named), or there are none.
        """
        separator = "," if path.suffix == ".csv" else "\t"
        found: dict[str, int] = {}
        with OddRows(path, "lines") as odd:
            for line in raw_lines(path):
                if line.is_blank:
                    continue
                with odd.row():
                    # In a list separated by tabs a quotation mark is a character like others.
                    text = line.text()
                    word, *count = next(csv.reader([text])) if separator == "," else text.split(separator)
                    if len(count) == 1 and count[0].strip().isdecimal():
                        found[word] = found.get(word, 0) + int(count[0])
                    elif line.number > 1:
                        raise PhasescopeError(
                            f"{line.place} is not a word and its count: {text[:80]!r}. Write both on each line, "
                            f"separated by {'a comma' if separator == ',' else 'a tab'}."
                        )
        if not any(found.values()):
            raise PhasescopeError(f"{path} counts no words.")
        return cls({word: place for place, word in enumerate(found)}, np.array(list(found.values()), dtype=np.int64))
