"""A text that somebody has just typed, as the tokens that the models of a suite read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.suites.positions import most_positions
from phasescope.texts.beginning import before

if TYPE_CHECKING:
    from jaxtyping import Int
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint, Suite
    from phasescope.texts import Encoder, Framing

# More tokens than this are no longer looked at one by one.
MOST_TOKENS = 1024
_MOST_READERS = 8


@dataclass(frozen=True, eq=False)
class LiveText:
    """Tokens of a text, and what each stands for in it.

    Attributes:
        pieces: the characters of each token. Tokens that share one character (parts of an emoji) all show it.
        read: the tokens as the model reads them: with what its tokenizer puts before a text, and of masked language
            models after it too.
        first: where in `read` the text begins.
        vocabulary: entries that the tokenizer can mean and the model has rows for.
        notice: what was cut off, in a sentence; empty where nothing was.
    """

    tokens: Int[np.ndarray, "tokens"]
    pieces: tuple[str, ...]
    read: Int[np.ndarray, "read"]
    first: int
    vocabulary: int
    notice: str = ""


@dataclass(frozen=True, eq=False)
class Reader:
    """What decides how the models of one size read a text."""

    config: PreTrainedConfig
    tokenizer: PreTrainedTokenizerFast
    encoder: Encoder


_readers: dict[tuple[Checkpoint, bool], Reader] = {}


def reader_of(suite: Suite, size: str, trust_remote_code: bool) -> Reader:
    """The reader of a size, kept for the next text: a large tokenizer takes a second to open.

    Other steps of the same suite have the same reader as long as they have the same last checkpoint.

    Raises `PhasescopeError` where no checkpoint has a tokenizer or configuration that can be read.
    """
    from phasescope.texts import Encoder
    from phasescope.visits.inputs import first_readable

    last = next(checkpoint for checkpoint in reversed(suite.checkpoints) if checkpoint.size == size)
    if (last, trust_remote_code) not in _readers:
        tokenizer = first_readable(suite, size, "tokenizer", trust_remote_code)
        config = first_readable(suite, size, "config", trust_remote_code)
        while len(_readers) >= _MOST_READERS:
            _readers.pop(next(iter(_readers)), None)
        _readers[last, trust_remote_code] = Reader(config, tokenizer, Encoder(tokenizer))
    return _readers[last, trust_remote_code]


def live_text(suite: Suite, size: str, text: str, probes: Probes) -> LiveText:
    """The text as the models of one size read it, cut to what they can read.

    Raises `PhasescopeError` where it has no tokens, or as `reader_of` does.
    """
    from phasescope.hooks import get_architecture
    from phasescope.visits.inputs import framing_of

    reader = reader_of(suite, size, probes.trust_remote_code)
    masked = get_architecture(reader.config, probes.modules).masked
    framing = framing_of(reader.tokenizer, suite) if masked else None
    encoded = reader.encoder.encode(text)
    if not len(encoded.tokens):
        raise PhasescopeError("There is no text to read: give at least one word.")
    begin = None if framing else reader.encoder.begins_with
    beside = 2 if framing else int(begin is not None)
    allowed = most_positions(reader.config) - beside
    kept = min(len(encoded.tokens), allowed, MOST_TOKENS)
    tokens = encoded.tokens[:kept]
    return LiveText(
        tokens=tokens,
        pieces=tuple(text[start:end] for start, end in encoded.offsets[:kept].tolist()),
        read=_read_around(tokens, framing, begin),
        first=min(beside, 1),
        # Entries beyond the model's rows (padding that was added later) cannot be read: `read` refuses them.
        vocabulary=min(reader.encoder.vocabulary, int(reader.config.vocab_size)),
        notice=_notice(len(encoded.tokens), kept, size, allowed),
    )


def _read_around(
    tokens: Int[np.ndarray, "tokens"], framing: Framing | None, begin: int | None
) -> Int[np.ndarray, "read"]:
    """What the model reads: the text, and before and after it what a text of its training had there."""
    rows = tokens[None]
    if framing is not None:
        rows = framing.around(rows)
    elif begin is not None:
        rows = before(rows, begin)
    read: Int[np.ndarray, "read"] = rows[0]
    return read


def _notice(tokens: int, kept: int, size: str, allowed: int) -> str:
    if kept == tokens:
        return ""
    why = f"the context of {size}" if kept == allowed else "the most that a live probe reads"
    return f"The text has {counted(tokens, 'token')}: the first {kept} {'is' if kept == 1 else 'are'} read, {why}."
