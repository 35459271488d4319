"""From documents to frozen inputs: pack, choose, sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phasescope.console import counted
from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.beginning import before, beginning_of
from phasescope.texts.document import Document
from phasescope.texts.inputs import BytePlaces, Framing, Inputs
from phasescope.texts.readers.ready_tokens import read_ready
from phasescope.texts.token_bytes import byte_starts, document_number, first_bytes
from phasescope.texts.tokens import Encoded, Encoder, align, split_words

if TYPE_CHECKING:
    from jaxtyping import Int
    from numpy.typing import ArrayLike

    from phasescope.texts.tokens import AnyTokenizer

LEAST_READ = 1 << 21
"""Tokens (two million) up to which a text is read whole, even if few sequences are wanted."""
WINDOWS_PER_SEQUENCE = 20
"""A longer text is read until it has offered so many windows for each sequence wanted: streams may have no end."""
_LONGEST_WORD = 200  # characters kept; what is longer is no word, and every word takes the room of the longest


def freeze(
    documents: Iterable[Document],
    tokenizer: AnyTokenizer,
    *,
    sequences: int = 128,
    context: int = 256,
    output_sequences: int = 18,
    positions: str | int = "last",
    seed: int = 0,
    source: str = "",
    counts: ArrayLike | None = None,
    counts_source: str = "",
    framing: Framing | None = None,
    bos: str = "auto",
    trained_with_bos: bool = False,
) -> Inputs:
    """Pack documents into sequences of tokens and choose what a run reads of them.

    Documents are joined by the tokenizer's end-of-text token, if it has one, and cut into windows of `context` tokens
    that do not overlap. Tokens that come ready are read as they are, with nothing between the documents: where all have
    `context` tokens, each is a window. Of more windows than wanted a random choice is taken, kept in the order of the
    text. Of a text longer than two million tokens only the beginning is read: 20 windows for each one wanted, but at
    least so many.

    Args:
        documents: what `read_documents` yields.
        tokenizer: a fast transformers tokenizer, or a `tokenizers.Tokenizer`.
        sequences: how many windows.
        context: tokens per window.
        output_sequences: the first so many sequences feed the outputs; at most all of them.
        positions: `last` of each sequence, `all`, or a number: so many distinct random ones in each, in order.
        seed: of both choices.
        source: the name of the text, for the record.
        counts: occurrences of each vocabulary entry in a reference corpus (the training text); those in the text that
            was read here, if not given.
        counts_source: the name of that corpus, for the record.
        framing: what masked language models read beside each window.
        bos: whether windows begin with a beginning-of-text token, see `beginning_of`; it is one of the `context`
            tokens. Not of masked language models, which have their framing.
        trained_with_bos: whether the models are known to have been trained with one: then `auto` puts it there.

    Raises:
        PhasescopeError: less text than wanted (never silently fewer sequences), a tokenizer without offsets, counts of
            another vocabulary, or numbers that make no sense.
    """
    _check_numbers(sequences, context, output_sequences, seed)
    encoder = Encoder(tokenizer)
    enough = max(WINDOWS_PER_SEQUENCE * sequences * context, LEAST_READ)
    packed = _pack(documents, encoder, enough)
    # Ready tokens are read as they are: where a window should begin with one, it is among them.
    begin = None if framing or (packed.ready and bos == "auto") else beginning_of(encoder, bos, trained_with_bos)
    width = context - int(begin is not None)
    taken = _positions_per_sequence(positions, width)
    chosen = _choose_windows(len(packed.tokens), sequences, width, seed)
    tokens, positions_in = packed.tokens[chosen], _sample_positions(taken, sequences, width, seed)
    word_ids, words, tags = _words_in(packed, chosen, encoder)
    places = None if encoder.pieces is None else _places_in(packed, chosen, encoder, encoder.pieces)
    if begin:
        tokens, word_ids, positions_in = before(tokens, begin.token), before(word_ids, -1), positions_in + 1
        places = places and places.after_beginning()
    if counts is None:
        reference = np.bincount(packed.tokens, minlength=encoder.vocabulary).astype(np.int64)
        counts_source = counts_source or "the text itself"
    else:
        reference = _checked_counts(counts, encoder.vocabulary)
    return Inputs(
        tokens=tokens,
        positions=positions_in,
        word_ids=word_ids,
        words=words,
        tags=tags,
        counts=reference,
        counts_source=counts_source,
        output_sequences=min(output_sequences, sequences),
        vocabulary=encoder.vocabulary,
        source=source,
        seed=seed,
        framing=framing,
        begin=begin,
        bytes=places,
    )


@dataclass
class _Packed:
    """A stream of tokens, and where in it the tokens of each document lie."""

    tokens: Int[np.ndarray, "tokens"]
    documents: list[Document] = field(default_factory=list)
    encoded: list[Encoded] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ready: bool = False  # whether tokens were given, not text


def _pack(documents: Iterable[Document], encoder: Encoder, enough: int) -> _Packed:
    packed = _Packed(np.empty(0, dtype=np.int32))
    pieces: list[Int[np.ndarray, "tokens"]] = []
    length = 0
    for given in documents:
        ready = given.ready is not None
        document, encoded = read_ready(given, encoder) if ready else (given, encoder.encode(given.text))
        if not len(encoded.tokens):
            continue
        if length and encoder.end_of_text is not None and not ready:
            pieces.append(np.array([encoder.end_of_text], dtype=np.int32))
            length += 1
        packed.ready |= ready
        packed.documents.append(document)
        packed.encoded.append(encoded)
        packed.starts.append(length)
        pieces.append(encoded.tokens)
        length += len(encoded.tokens)
        if length >= enough:
            break
    if pieces:
        packed.tokens = np.concatenate(pieces)
    return packed


def _choose_windows(tokens: int, sequences: int, context: int, seed: int) -> Int[np.ndarray, "sequences context"]:
    """Indices into the stream of the tokens of each chosen window."""
    windows = tokens // context
    if windows < sequences:
        fewer = f"ask for fewer (--sequences {windows}), or for shorter ones" if windows else "ask for shorter ones"
        raise PhasescopeError(
            f"The text is too short: its {counted(tokens, 'token')} make {counted(windows, 'sequence')} of {context}, "
            f"and {sequences} are wanted. Give more text, {fewer} (--context)."
        )
    generator = np.random.default_rng([seed, 0])
    chosen = np.sort(generator.choice(windows, size=sequences, replace=False))
    return chosen[:, None] * context + np.arange(context)


def _sample_positions(taken: int | None, sequences: int, context: int, seed: int) -> Int[np.ndarray, "sequences k"]:
    """The last position (None), or so many random distinct ones of each sequence, sorted."""
    if taken is None:
        return np.full((sequences, 1), context - 1, dtype=np.int32)
    # A stream of random numbers of its own: the choice of positions does not depend on that of windows.
    generator = np.random.default_rng([seed, 1])
    every = np.tile(np.arange(context, dtype=np.int32), (sequences, 1))
    return np.sort(generator.permuted(every, axis=1)[:, :taken], axis=1)


def _words_in(
    packed: _Packed, chosen: Int[np.ndarray, "sequences context"], encoder: Encoder
) -> tuple[Int[np.ndarray, "sequences context"], list[str], list[str] | None]:
    """Word ids of the chosen windows, and text and tag of the words in them. Other documents are not looked at."""
    word_of = np.full(len(packed.tokens), -1, dtype=np.int32)
    texts: list[str] = []
    tags: list[str] = []
    for place in np.unique(np.searchsorted(packed.starts, chosen, side="right") - 1):
        document, start, encoded = packed.documents[place], packed.starts[place], packed.encoded[place]
        words = split_words(document.text) if document.words is None else document.words
        aligned = align(encoded.offsets, words)
        aligned[encoder.written_out(encoded, document.text)] = -1  # <|endoftext|> is not the word "endoftext"
        word_of[start : start + len(aligned)] = np.where(aligned < 0, -1, aligned + len(texts))
        texts += [document.text[word.start : word.end][:_LONGEST_WORD] for word in words]
        tags += [word.tag or "" for word in words]
    present, word_ids = np.unique(word_of[chosen], return_inverse=True)
    word_ids = word_ids.reshape(chosen.shape).astype(np.int32)
    if len(present) and present[0] < 0:
        present, word_ids = present[1:], word_ids - 1
    # HDF5 takes a zero character for the end of a text.
    kept = [texts[word].replace("\0", "\ufffd") for word in present]
    kept_tags = [tags[word] for word in present]
    return word_ids, kept, kept_tags if any(kept_tags) else None


def _places_in(
    packed: _Packed, chosen: Int[np.ndarray, "sequences context"], encoder: Encoder, pieces: Sequence[bytes | None]
) -> BytePlaces:
    """Where in its document each token of the chosen windows begins. Other documents are not looked at.

    Not of a token after a special one that the text spells out: as at the beginning of a document, some tokenizers put
    a blank there.
    """
    starts = np.full(len(packed.tokens), -1, dtype=np.int64)
    numbers = np.zeros(len(packed.tokens), dtype=np.int64)
    ends = [*packed.starts[1:], len(packed.tokens)]
    for place in np.unique(np.searchsorted(packed.starts, chosen, side="right") - 1):
        first, text, encoded = packed.starts[place], packed.documents[place].text, packed.encoded[place]
        own = slice(first, first + len(encoded.tokens))
        found = byte_starts(encoded.tokens, encoded.offsets, pieces, text)
        found[1:][encoder.written_out(encoded, text)[:-1]] = -1
        starts[own] = found
        starts[own.stop : ends[place]] = len(text.encode())  # the token between this document and the next
        numbers[first : ends[place]] = document_number(text)
    return BytePlaces(numbers[chosen], starts[chosen], first_bytes(pieces))


def _checked_counts(counts: ArrayLike, vocabulary: int) -> Int[np.ndarray, "vocabulary"]:
    given = np.asarray(counts)
    if given.ndim != 1 or given.dtype.kind not in "iu" or (len(given) and given.min() < 0):
        raise PhasescopeError(
            f"The token counts must be one whole number per vocabulary entry, not {given.dtype} {given.shape}."
        )
    if len(given) < vocabulary or given[vocabulary:].any():
        raise PhasescopeError(
            f"The token counts are of another vocabulary: {len(given)} entries, and the tokenizer has {vocabulary}. "
            "Count the tokens with the tokenizer of these models, or leave the counts out."
        )
    return given[:vocabulary].astype(np.int64)


def _positions_per_sequence(positions: str | int, context: int) -> int | None:
    """How many positions of each sequence, None for the last one."""
    if positions == "last":
        return None
    if positions == "all":
        return context
    if isinstance(positions, str):
        if not positions.isdecimal():
            remedy = did_you_mean(positions, ["last", "all", "a whole number"])
            raise PhasescopeError(f"There are no positions {positions!r}. {remedy}")
        positions = int(positions)
    if not 1 <= positions <= context:
        raise PhasescopeError(
            f"{positions} positions cannot be sampled in sequences of {context} tokens: ask for 1 to {context}."
        )
    return positions


def _check_numbers(sequences: int, context: int, output_sequences: int, seed: int) -> None:
    for name, value, least in (
        ("--sequences", sequences, 1),
        ("--context", context, 2),  # one token predicts nothing
        ("--output-sequences", output_sequences, 0),
        ("--seed", seed, 0),
    ):
        if value < least:
            raise PhasescopeError(f"{name} must be {least} or more, not {value}.")
