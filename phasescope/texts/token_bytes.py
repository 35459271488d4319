"""Which bytes of a text a token stands for: what two tokenizers have in common."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from jaxtyping import Int
    from tokenizers import Tokenizer

NO_TEXT = 256
"""The class of a token that stands for no text, such as the end of one: the 256 before it are bytes."""
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_BLANK = "▁"


def token_bytes(tokenizer: Tokenizer) -> list[bytes | None]:
    """For each entry of the vocabulary the bytes (UTF-8) that it adds to a text; None for one that adds none.

    Two kinds are understood: byte-level (GPT-2's alphabet, in which each byte is a character) and SentencePiece's
    (▁ is a blank, `<0x0A>` a byte).

    Raises:
        PhasescopeError: any other kind. Of WordPiece, for one, no token says whether a blank comes before it.
    """
    made = json.loads(tokenizer.to_str())
    kinds = {str(kind) for part in ("model", "normalizer", "pre_tokenizer", "decoder") for kind in _kinds(made[part])}
    if "WordPiece" in kinds or "WordLevel" in kinds or made["model"].get("end_of_word_suffix"):
        raise _not_understood(str(made["model"]["type"]))
    if "ByteLevel" in kinds:
        letters = _alphabet()

        def read(token: str) -> bytes | None:
            return bytes(letters[letter] for letter in token) if all(letter in letters for letter in token) else None

    elif (
        "ByteFallback" in kinds or "Metaspace" in kinds or _BLANK in json.dumps(made["normalizer"], ensure_ascii=False)
    ):

        def read(token: str) -> bytes | None:
            byte = _BYTE.fullmatch(token)
            return bytes([int(byte[1], 16)]) if byte else token.replace(_BLANK, " ").encode()

    else:
        raise _not_understood(str(made["model"]["type"]))
    found: list[bytes | None] = [None] * (max(tokenizer.get_vocab().values(), default=-1) + 1)
    unknown = made["model"].get("unk_token")
    for token, place in tokenizer.get_vocab().items():
        found[place] = None if token == unknown else read(token)
    for place, added in tokenizer.get_added_tokens_decoder().items():
        found[place] = None if added.special else added.content.encode()
    return [piece or None for piece in found]


def first_bytes(pieces: Sequence[bytes | None]) -> Int[np.ndarray, "vocabulary"]:
    """The first byte of each entry, or `NO_TEXT`."""
    return np.array([NO_TEXT if piece is None else piece[0] for piece in pieces], dtype=np.int16)


def byte_starts(
    tokens: Int[np.ndarray, "tokens"],
    offsets: Int[np.ndarray, "tokens 2"],
    pieces: Sequence[bytes | None],
    text: str,
) -> Int[np.ndarray, "tokens"]:
    """How many bytes of the text come before each token; −1 where that cannot be told.

    A token whose bytes are not those of the text at its place has none: a tokenizer may normalise a text before it
    cuts it. A token that stands for no text (one that is spelt out in it) is as long as its characters there. A blank
    that a tokenizer puts before the text is no place in it.

    Args:
        tokens, offsets: of the text, with the characters `[start, end)` of each token.
        pieces: what `token_bytes` gives.
    """
    numbers = tokens.tolist()
    spans = offsets.tolist()
    written = [
        text[first:last].encode() if pieces[token] is None else pieces[token] or b""
        for token, (first, last) in zip(numbers, spans, strict=True)
    ]
    starts = np.cumsum([0, *map(len, written)], dtype=np.int64)[:-1]
    whole, wanted = b"".join(written), text.encode()
    if whole == wanted:
        return starts
    if whole == b" " + wanted:
        return np.maximum(starts - 1, 0)
    return _found_again(written, [first for first, _ in spans], text)


def _found_again(written: Sequence[bytes], characters: Sequence[int], text: str) -> Int[np.ndarray, "tokens"]:
    """Places of those tokens that are where they should be: after the one before, or where their characters are."""
    wanted = text.encode()
    points = np.frombuffer(text.encode("utf-32-le"), dtype=np.uint32)
    sizes = 1 + (points > 0x7F).astype(np.int64) + (points > 0x7FF) + (points > 0xFFFF)
    begins = np.concatenate([[0], np.cumsum(sizes)]).tolist()
    starts = np.full(len(written), -1, dtype=np.int64)
    end, known = 0, True
    for place, piece in enumerate(written):
        own = begins[characters[place]]
        # Tokenizers may leave the blank before a word out of the characters of its token.
        blank = len(piece) - len(piece.lstrip(b" "))
        after = [end] if known else []
        known = False
        for start in (*after, own - blank, own):
            if piece and start >= end and wanted.startswith(piece, start):
                starts[place], end, known = start, start + len(piece), True
                break
        if not known and not place and wanted.startswith(piece[1:]) and piece[:1] == b" ":
            starts[place], end, known = 0, len(piece) - 1, True
    return starts


def document_number(text: str) -> int:
    """A number that documents of the same contents have, in every run."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little", signed=True)


def _kinds(part: Any) -> Iterator[str]:
    """Every `type` in a part of a tokenizer and in what it is made of."""
    if isinstance(part, dict):
        if isinstance(part.get("type"), str):
            yield part["type"]
        for inner in part.values():
            yield from _kinds(inner) if isinstance(inner, list) else ()
    elif isinstance(part, list):
        for inner in part:
            yield from _kinds(inner)


@functools.cache
def _alphabet() -> dict[str, int]:
    """GPT-2's letters for bytes: a byte that prints is itself, the others follow from U+0100 on, in order."""
    prints = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in prints)
    return {chr(byte): byte for byte in prints} | {chr(0x100 + place): byte for place, byte in enumerate(others)}


def as_byte_letters(text: str) -> str:
    """A text as byte-level tokenizers write it in their vocabulary.

    >>> as_byte_letters(" the")
    'Ġthe'
    """
    letters = {byte: letter for letter, byte in _alphabet().items()}
    return "".join(letters[byte] for byte in text.encode("utf-8", "replace"))


def _not_understood(kind: str) -> PhasescopeError:
    return PhasescopeError(
        f"Of the tokens of this {kind} tokenizer it is not known with which byte of the text they begin: that is known "
        "of byte-level and SentencePiece tokenizers. Leave --next-byte out."
    )
