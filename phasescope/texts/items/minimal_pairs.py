"""Minimal pairs: two sentences that differ in one thing, of which one is acceptable. BLiMP's own format is read.

Warstadt et al. (2020), "BLiMP: The Benchmark of Linguistic Minimal Pairs for English".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.items.encoder import BEFORE
from phasescope.texts.items.items import NAME, Items, join
from phasescope.texts.items.own_pairs import own_pairs
from phasescope.texts.readers.lines import raw_lines
from phasescope.texts.readers.odd_rows import OddRows

if TYPE_CHECKING:
    from phasescope.texts.items.encoder import ItemEncoder

KIND = "minimal_pairs"
ROLES = ("good", "bad")
METHODS = ("one_prefix", "two_prefix")
OWN = "phasescope's own pairs"


@dataclass(frozen=True)
class Pair:
    """Two sentences, the acceptable one first; and where a word of each decides, the text before it and the word.

    method: `one_prefix` where the words differ after the same beginning, `two_prefix` where the same word follows two
    beginnings, "" where only whole sentences can be compared.
    """

    paradigm: str
    sentences: tuple[str, str]
    method: str = ""
    prefixes: tuple[str, str] = ("", "")
    words: tuple[str, str] = ("", "")

    def word(self, side: int) -> tuple[int, int] | None:
        """The characters of the deciding word in a sentence; None where there is none, or it is not there.

        With the blank before it, which is no part of the prefix: most tokenizers have it in the word's first token.
        """
        prefix, sentence = self.prefixes[side], self.sentences[side]
        word = f" {self.words[side]}" if prefix else self.words[side]
        if not self.method or not sentence.startswith(prefix + word):
            return None
        return len(prefix), len(prefix) + len(word)


def read_pairs(source: str | None) -> Iterator[Pair]:
    """The pairs of a BLiMP file (.jsonl), of all such files in a folder; None: the small set that we made.

    One odd line of many is left out and told. Two sentences that are the same are a pair: published sets have some, and
    a tie counts half.

    Raises:
        PhasescopeError: there is no such file or it is empty; more than a tenth of its lines are not JSON, lack a field
            or have an empty sentence (the file, the line and the field of the first are named).
    """
    if source is None:
        for number, fields in enumerate(own_pairs(), start=1):
            yield _pair(fields, f"{OWN}, pair {number}")
        return
    for path in _files(Path(source)):
        with OddRows(path, "lines") as odd:
            for line in raw_lines(path):
                if line.is_blank:
                    continue
                pair = None
                with odd.row():
                    pair = _pair(line.json_object(), line.place)
                if pair is not None:
                    yield pair
        if not odd.seen:
            raise PhasescopeError(f"{path} is empty: it holds no minimal pair.")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise PhasescopeError(f"There is no .jsonl file in {path}: minimal pairs are read from such, as BLiMP's.")
        return files
    if not path.is_file():
        raise PhasescopeError(f"There is no file or folder {path}. Minimal pairs are read from BLiMP's .jsonl files.")
    return [path]


def _pair(fields: dict[str, Any], place: str) -> Pair:
    def text(name: str) -> str:
        value = fields.get(name)
        if not isinstance(value, str):
            problem = "is no text" if name in fields else "is missing"
            raise PhasescopeError(f"{place}: the field {name} {problem}. BLiMP's own format is read.")
        return value.strip()

    paradigm, sentences = text("UID"), (text("sentence_good"), text("sentence_bad"))
    if not NAME.fullmatch(paradigm):
        raise PhasescopeError(f"{place}: the UID {paradigm!r} is no name. Use letters, digits, _ . + or -.")
    if not all(sentences):
        raise PhasescopeError(f"{place}: a sentence is empty, so there is nothing to choose between.")
    if fields.get("one_prefix_method"):
        prefix = text("one_prefix_prefix")
        words = text("one_prefix_word_good"), text("one_prefix_word_bad")
        return Pair(paradigm, sentences, "one_prefix", (prefix, prefix), words)
    if fields.get("two_prefix_method"):
        prefixes, word = (text("two_prefix_prefix_good"), text("two_prefix_prefix_bad")), text("two_prefix_word")
        return Pair(paradigm, sentences, "two_prefix", prefixes, (word, word))
    return Pair(paradigm, sentences)


def pair_items(source: str | None, encoder: ItemEncoder) -> list[Items]:
    """A set of items for each paradigm; the two sentences of a pair are neighbours, the acceptable one first.

    A whole sentence is scored, so the word that decides is scored with it: its tokens are `word_first` to `word_last`
    (excluded) of the item, those that share a character with it; both are −1 where there is none. What comes before it
    is its prefix, and what comes after cannot change it in models that read from left to right. Those that are
    masked read both sides, so for them no word is told.

    Raises `PhasescopeError` as `read_pairs` does.
    """
    paradigms: dict[str, list[Pair]] = {}
    for pair in read_pairs(source):
        paradigms.setdefault(pair.paradigm, []).append(pair)
    return [_items(name, pairs, source or OWN, encoder) for name, pairs in paradigms.items()]


def _items(name: str, pairs: Sequence[Pair], source: str, encoder: ItemEncoder) -> Items:
    sequences, spans = [], []
    columns: dict[str, list[Any]] = {"pair": [], "role": [], "method": [], "word_first": [], "word_last": []}
    for number, pair in enumerate(pairs):
        encoded = [encoder.encode(sentence) for sentence in pair.sentences]
        words = [
            _tokens_of(pair.word(side), one.offsets) if encoder.framing is None else None
            for side, one in enumerate(encoded)
        ]
        method = pair.method if None not in words else ""
        for role, one, word in zip(ROLES, encoded, words, strict=True):
            sequences.append(encoder.around(one.tokens))
            spans.append((BEFORE, BEFORE + len(one.tokens)))
            first, last = word if method and word else (-1, -1)
            values = (number, role, method, first, last)
            for column, value in zip(columns.values(), values, strict=True):
                column.append(value)
    columns["sentence"] = [sentence for pair in pairs for sentence in pair.sentences]
    return join(KIND, name, sequences, spans, columns, source, encoder.framing)


def _tokens_of(word: tuple[int, int] | None, offsets: np.ndarray) -> tuple[int, int] | None:
    """First and last (excluded) token, as places in the item, that share a character with a word."""
    if word is None:
        return None
    shares = np.flatnonzero((offsets[:, 0] < word[1]) & (offsets[:, 1] > word[0]))
    return (int(shares[0]) + BEFORE, int(shares[-1]) + 1 + BEFORE) if len(shares) else None
