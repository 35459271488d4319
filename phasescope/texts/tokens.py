"""From text to tokens, and from tokens back to the words they belong to."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.document import Word

if TYPE_CHECKING:
    from jaxtyping import Bool, Int
    from tokenizers import Tokenizer
    from tokenizers.pre_tokenizers import Split
    from transformers import PreTrainedTokenizerBase

    AnyTokenizer: TypeAlias = Tokenizer | PreTrainedTokenizerBase

# A bare `tokenizers.Tokenizer` does not say which of its tokens ends or begins a text.
_END_OF_TEXT = ("<|endoftext|>", "<|end_of_text|>", "</s>", "<eos>", "[EOS]")
_BEGINNING_OF_TEXT = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>", "[BOS]")
# \w is Unicode's here: letters, marks, digits and connectors of all scripts. An apostrophe inside does not end a word.
_WORD = r"\w+(?:['’]\w+)*"


@dataclass(frozen=True)
class Encoded:
    """Token ids of one text, and the characters of it `[start, end)` that each token stands for."""

    tokens: Int[np.ndarray, "tokens"]
    offsets: Int[np.ndarray, "tokens 2"]


class Encoder:
    """A tokenizer as this package uses it: whole texts, no special tokens added, with offsets.

    Args:
        tokenizer: a fast transformers tokenizer, or a `tokenizers.Tokenizer`. Its own settings of truncation and
            padding are left as they are, and not applied.

    Raises:
        PhasescopeError: a tokenizer written in Python, which cannot tell where in the text its tokens come from.
    """

    def __init__(self, tokenizer: AnyTokenizer) -> None:
        from tokenizers import Tokenizer

        backend: Any = tokenizer if isinstance(tokenizer, Tokenizer) else getattr(tokenizer, "backend_tokenizer", None)
        if not isinstance(backend, Tokenizer):
            raise PhasescopeError(
                f"The tokenizer {type(tokenizer).__name__} cannot tell which characters its tokens stand for. "
                "A fast tokenizer is needed: one with a tokenizer.json, loaded by AutoTokenizer."
            )
        self.backend = Tokenizer.from_str(backend.to_str())  # a copy, so that the settings can be changed
        self.backend.no_truncation()
        self.backend.no_padding()
        self.end_of_text = _end_of_text(tokenizer)
        self.beginning_of_text = _beginning_of_text(tokenizer)

    @functools.cached_property
    def pieces(self) -> list[bytes | None] | None:
        """The bytes of text that each vocabulary entry stands for; None where the tokenizer does not say."""
        from phasescope.texts.token_bytes import token_bytes

        try:
            return token_bytes(self.backend)
        except PhasescopeError:
            return None

    @functools.cached_property
    def begins_with(self) -> int | None:
        """The token that the tokenizer's own post-processing puts before a text; None where it puts none.

        Where it puts several there, the one that is known as the beginning of a text.
        """
        encoding = self.backend.encode("a", add_special_tokens=True)
        added = encoding.special_tokens_mask
        before = encoding.ids[: added.index(0) if 0 in added else 0]
        if self.beginning_of_text in before:
            return self.beginning_of_text
        return before[0] if len(before) == 1 else None

    @functools.cached_property
    def literals(self) -> dict[int, bytes]:
        """What stands in a text where a special token is written out, of each of them."""
        decoder = self.backend.get_added_tokens_decoder()
        found = {place: added.content.encode() for place, added in decoder.items() if added.special}
        if self.end_of_text is not None and self.end_of_text not in decoder:
            found[self.end_of_text] = (self.backend.id_to_token(self.end_of_text) or "").encode()
        return found

    def written_out(self, encoded: Encoded, text: str) -> Bool[np.ndarray, "tokens"]:
        """Which tokens are special ones that the text spells out: they are no words, and separate what is around them.

        An unknown word, which has the special token of unknown words, is not.
        """
        special = np.isin(encoded.tokens, list(self.literals))
        for place in np.flatnonzero(special):
            first, last = encoded.offsets[place]
            special[place] = text[first:last].strip().encode() == self.literals[int(encoded.tokens[place])].strip()
        return special

    @property
    def vocabulary(self) -> int:
        """Highest token id + 1, added tokens included: as many rows of the model as the tokenizer can mean.

        This is `len(tokenizer)` unless ids have been left out; then `len` would cut real tokens off.
        """
        return max(self.backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    def encode(self, text: str) -> Encoded:
        """Token ids and offsets of `text`."""
        encoding = self.backend.encode(text, add_special_tokens=False)
        offsets = np.asarray(encoding.offsets, dtype=np.int32).reshape(-1, 2)
        return Encoded(np.asarray(encoding.ids, dtype=np.int32), offsets)


def _end_of_text(tokenizer: AnyTokenizer) -> int | None:
    from tokenizers import Tokenizer

    if isinstance(tokenizer, Tokenizer):
        found = (tokenizer.token_to_id(token) for token in _END_OF_TEXT)
        return next((token for token in found if token is not None), None)
    end: int | None = tokenizer.eos_token_id
    return end


def _beginning_of_text(tokenizer: AnyTokenizer) -> int | None:
    from tokenizers import Tokenizer

    if isinstance(tokenizer, Tokenizer):
        found = (tokenizer.token_to_id(token) for token in _BEGINNING_OF_TEXT)
        return next((token for token in found if token is not None), None)
    begin: int | None = tokenizer.bos_token_id
    return begin


def split_words(text: str) -> list[Word]:
    """The words of a text without gold ones: runs of Unicode word characters, apostrophes inside them included.

    Found by the regular expressions of `tokenizers`, which count combining marks as parts of words, as Unicode does
    and Python's own do not. Punctuation belongs to no word.

    >>> [word.end - word.start for word in split_words("Don't stop!")]
    [5, 4]
    """
    return [Word(start, end) for _, (start, end) in _splitter().pre_tokenize_str(text)]


@functools.cache
def _splitter() -> Split:
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import Split

    return Split(Regex(_WORD), behavior="removed", invert=True)


def align(offsets: Int[np.ndarray, "tokens 2"], words: Sequence[Word]) -> Int[np.ndarray, "tokens"]:
    """For each token the index of the word it belongs to, or -1.

    A token belongs to the first word that it shares a character with, so each token has at most one word; a word has
    as many tokens as begin in it or lead up to it. Words must be in order and not overlap.

    Raises:
        ValueError: the words are out of order or overlap.
    """
    if not len(words):
        return np.full(len(offsets), -1, dtype=np.int32)
    starts = np.array([word.start for word in words])
    ends = np.array([word.end for word in words])
    if (starts >= ends).any() or (starts[1:] < ends[:-1]).any():
        raise ValueError("words must not be empty, out of order, or overlap")
    first = np.searchsorted(ends, offsets[:, 0], side="right")  # the first word that ends after the token starts
    candidate = np.minimum(first, len(words) - 1)
    shares = (first < len(words)) & (starts[candidate] < offsets[:, 1]) & (offsets[:, 0] < offsets[:, 1])
    return np.where(shares, candidate, -1).astype(np.int32)
