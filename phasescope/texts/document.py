"""What every reader of texts yields."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST = 1_000_000
"""Characters after which a text without documents of its own is cut, at a line end, so that no file is held whole."""


@dataclass(frozen=True)
class Word:
    """A word of a document: characters `start` up to `end` of its text, and its universal part of speech if known."""

    start: int
    end: int
    tag: str | None = None


@dataclass(frozen=True)
class Document:
    """One text; `words` are gold word boundaries in order of place, or None where the source has none."""

    text: str
    words: tuple[Word, ...] | None = None
