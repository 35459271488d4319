"""Tokens that somebody else made of a text: their ids here, the text that they stand for, and the words with tags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.document import Document, ReadyTokens, Word
from phasescope.texts.token_bytes import as_byte_letters
from phasescope.texts.tokens import Encoded, Encoder, align, split_words

if TYPE_CHECKING:
    from jaxtyping import Int


def read_ready(document: Document, encoder: Encoder) -> tuple[Document, Encoded]:
    """The document with the text and the words that its ready tokens stand for, and the tokens with their offsets.

    Where tokens have tags, neighbours that share a word and its tag are that word, and every other token is a word of
    its own, so that each token keeps its tag.

    Raises:
        PhasescopeError: a token that this tokenizer does not have; the message names the place in the file.
    """
    ready = document.ready
    assert ready is not None
    tokens = np.array([_id_of(token, encoder, ready) for token in ready.tokens], dtype=np.int32)
    text, offsets = _text_of(tokens, encoder)
    encoded = Encoded(tokens, offsets)
    words = document.words if ready.tags is None else _tagged_words(text, offsets, ready.tags)
    return replace(document, text=text, words=words), encoded


def _id_of(token: str | int, encoder: Encoder, ready: ReadyTokens) -> int:
    if isinstance(token, int):
        if 0 <= token < encoder.vocabulary:
            return token
        raise PhasescopeError(
            f"{ready.place}: the token id {token} is none of this tokenizer, which has {encoder.vocabulary} entries: "
            "the ids were made with another one."
        )
    # As an entry of the vocabulary (Ġthe, ▁the, ##ing), or as it is decoded (" the").
    for written in (token, as_byte_letters(token), token.replace(" ", "▁")):
        found = encoder.backend.token_to_id(written)
        if found is not None:
            return int(found)
    raise PhasescopeError(
        f"{ready.place}: {token!r} is no token of this tokenizer. Give the tokenizer's own entries, or the numbers, "
        'as "ids".'
    )


def _text_of(tokens: Int[np.ndarray, "tokens"], encoder: Encoder) -> tuple[str, Int[np.ndarray, "tokens 2"]]:
    """The text that the tokens stand for, and which of its characters each of them is."""
    pieces = encoder.pieces
    if pieces is None:
        return _joined([encoder.backend.id_to_token(token) or "" for token in tokens.tolist()])
    written = [pieces[token] or encoder.literals.get(token, b"") for token in tokens.tolist()]
    ends = np.cumsum([len(piece) for piece in written], dtype=np.int64)
    # A byte that is part of no character, such as where the tokens were cut, is kept as one.
    text = b"".join(written).decode("utf-8", "surrogateescape")
    sizes = [1 if "\udc80" <= character <= "\udcff" else len(character.encode()) for character in text]
    begins = np.cumsum([0, *sizes], dtype=np.int64)[:-1]
    first = np.searchsorted(begins, ends - [len(piece) for piece in written], side="right") - 1
    last = np.searchsorted(begins, ends, side="left")
    return _replaced(text), np.stack([np.maximum(first, 0), last], axis=1).astype(np.int32)


def _replaced(text: str) -> str:
    return "".join("\ufffd" if "\udc80" <= character <= "\udcff" else character for character in text)


def _joined(tokens: Sequence[str]) -> tuple[str, Int[np.ndarray, "tokens 2"]]:
    """Of WordPiece, whose tokens do not tell blanks: one before every token that begins a word."""
    pieces: list[str] = []
    offsets: list[tuple[int, int]] = []
    length = 0
    for token in tokens:
        inside = token.startswith("##")
        piece = token.removeprefix("##")
        blank = "" if inside or not length else " "
        start = length + len(blank)
        length = start + len(piece)
        pieces += [blank, piece]
        offsets.append((start, length))
    return "".join(pieces), np.array(offsets, dtype=np.int32).reshape(-1, 2)


def _tagged_words(text: str, offsets: Int[np.ndarray, "tokens 2"], tags: Sequence[str | None]) -> tuple[Word, ...]:
    words: list[Word] = []
    before = -1
    for (first, last), tag, word in zip(
        offsets.tolist(), tags, align(offsets, split_words(text)).tolist(), strict=True
    ):
        covered = text[first:last]
        start, end = first + len(covered) - len(covered.lstrip()), first + len(covered.rstrip())
        start = max(start, words[-1].end if words else 0)
        if words and word >= 0 and word == before and tag == words[-1].tag:
            words[-1] = replace(words[-1], end=max(end, words[-1].end))
        elif start < end:
            words.append(Word(start, end, tag))
        before = word
    return tuple(words)
