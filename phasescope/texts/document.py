"""What every reader of texts yields."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

LONGEST = 1_000_000
"""Characters after which a text without documents of its own is cut, at a line end, so that no file is held whole."""
# Written into a text these end a document whatever tokenizer reads it: no prose holds them, and web text is kept so.
_SEPARATOR = re.compile(r"<\|(?:endoftext|end_of_text)\|>")


@dataclass(frozen=True)
class Word:
    """A word of a document: characters `start` up to `end` of its text, and its universal part of speech if known."""

    start: int
    end: int
    tag: str | None = None


@dataclass(frozen=True)
class ReadyTokens:
    """Tokens that were made before: entries of a tokenizer's vocabulary, or their ids.

    tags: a part of speech of each token, None for one without. place: where they stand, for people.
    """

    tokens: tuple[str | int, ...]
    tags: tuple[str | None, ...] | None
    place: str


@dataclass(frozen=True)
class Document:
    """One text; `words` are gold word boundaries in order of place, or None where the source has none.

    ready: the tokens that are read instead of the text, which is then "" until a tokenizer says what they stand for.
    """

    text: str
    words: tuple[Word, ...] | None = None
    ready: ReadyTokens | None = None

    def parts(self) -> Iterator[Document]:
        """The documents that a literal end of text (`<|endoftext|>`, `<|end_of_text|>`) divides this one into.

        Blanks beside such a separator belong to it; what is blank between two is no document.

        >>> [part.text for part in Document("one.\\n<|endoftext|>\\ntwo.").parts()]
        ['one.', 'two.']
        """
        separators = list(_SEPARATOR.finditer(self.text))
        if not separators or self.ready is not None:
            yield self
            return
        ends = [separator.start() for separator in separators] + [len(self.text)]
        for start, end in zip([0, *(separator.end() for separator in separators)], ends, strict=True):
            text = self.text[start:end]
            if stripped := text.strip():
                yield self._part(start + text.index(stripped), stripped)

    def _part(self, start: int, text: str) -> Document:
        if self.words is None:
            return Document(text)
        end = start + len(text)
        inside = (word for word in self.words if word.start >= start and word.end <= end)
        return Document(text, tuple(replace(word, start=word.start - start, end=word.end - start) for word in inside))


def whole_characters(text: str) -> str:
    """`text` with half characters (lone surrogates, which JSON can hold and UTF-8 cannot) replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
