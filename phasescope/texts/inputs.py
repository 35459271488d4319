"""What the models of a run read: frozen once, the same for every checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.store import Entry, Scalar, open_container, write_container
from phasescope.texts.beginning import Beginning, before

if TYPE_CHECKING:
    from jaxtyping import Int

KIND = "inputs"
_FRAMING = ("first_token", "last_token", "mask_token")
_BEGINNING = ("begin_token", "begin_text")
_BYTES = ("documents", "byte_starts", "first_bytes")


@dataclass(frozen=True)
class Framing:
    """Tokens that a masked language model reads beside a text: before it, after it, in place of one that is asked for.

    BERT's [CLS], [SEP] and [MASK].
    """

    first: int
    last: int
    mask: int

    def around(self, tokens: Int[np.ndarray, "sequences context"]) -> Int[np.ndarray, "sequences context+2"]:
        """Sequences as the model reads them: token i of the text is at i + 1."""
        return np.pad(tokens, ((0, 0), (1, 1)), constant_values=((0, 0), (self.first, self.last)))


@dataclass(frozen=True, eq=False)
class BytePlaces:
    """Where in its document every token begins, so that other tokenizers can be asked about the same place.

    Attributes:
        documents: int64, a number made of the contents of the document that each token is of.
        starts: int64, how many bytes (UTF-8) of the document come before the token; −1 where that is not known. A
            token between documents stands at the end of the first.
        first: int16, for each vocabulary entry the first byte of the text that it stands for; 256: it stands for none.
    """

    documents: Int[np.ndarray, "sequences context"]
    starts: Int[np.ndarray, "sequences context"]
    first: Int[np.ndarray, "vocabulary"]

    def after_beginning(self) -> BytePlaces:
        """With a token before each window, which begins at no place of the document."""
        documents = np.pad(self.documents, ((0, 0), (1, 0)), mode="edge")
        return BytePlaces(documents, before(self.starts, -1), self.first)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Token sequences, the positions to sample in them, and the words they came from.

    Attributes:
        tokens: int32, what the models read.
        positions: int32, the positions to sample in each sequence, in order.
        word_ids: int32, for each token the index of its word in `words`, -1 for none (punctuation where words were not
            given, blanks, the ends of texts). A word cut by the end of a sequence has the same index in both.
        words: the words as written.
        tags: a universal part of speech per word, "" where it has none; None if no word has one.
        counts: int64, how often each vocabulary entry occurs in the reference corpus.
        counts_source: which corpus that is.
        output_sequences: the first so many sequences feed the outputs (surprisal, entropy, divergence of seeds).
        vocabulary: entries that the tokenizer can mean; rows that a model has beyond them do not count.
        source: the name of the text.
        seed: of the choice of sequences and positions.
        framing: what masked language models read beside the tokens; None for models that read from left to right.
        begin: the token that every window begins with, before the text; None: windows begin with their text. It is the
            first of the `context` tokens, of no word, and not among the sampled positions.
        bytes: where in the text tokens begin; None where the tokenizer does not say which bytes they stand for.
        hash: of everything that a capture depends on: tokens, positions, words and tags, vocabulary, output sequences.
            Not of `counts` (no token that is read depends on them), of `bytes`, nor of the names and contents of files.
    """

    tokens: Int[np.ndarray, "sequences context"]
    positions: Int[np.ndarray, "sequences k"]
    word_ids: Int[np.ndarray, "sequences context"]
    words: list[str]
    tags: list[str] | None
    counts: Int[np.ndarray, "vocabulary"]
    counts_source: str
    output_sequences: int
    vocabulary: int
    source: str
    seed: int
    framing: Framing | None = None
    begin: Beginning | None = None
    bytes: BytePlaces | None = None
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        if self.word_ids.shape != self.tokens.shape or len(self.positions) != len(self.tokens):
            raise ValueError(
                f"tokens {self.tokens.shape}, word_ids {self.word_ids.shape} and positions {self.positions.shape} "
                "do not belong together"
            )
        if self.begin and not (self.tokens[:, 0] == self.begin.token).all():
            raise ValueError(f"not every sequence begins with token {self.begin.token}")
        if self.tags is not None and len(self.tags) != len(self.words):
            raise ValueError(f"{len(self.tags)} tags for {len(self.words)} words")
        object.__setattr__(self, "hash", self._digest())

    @property
    def sequences(self) -> int:
        return int(self.tokens.shape[0])

    @property
    def context(self) -> int:
        """Tokens per sequence."""
        return int(self.tokens.shape[1])

    @property
    def first(self) -> int:
        """Where in each sequence the text begins: after the beginning-of-text token, if there is one."""
        return int(self.begin is not None)

    @property
    def sampled(self) -> int:
        """Samples in all: sequences × positions per sequence."""
        return int(self.positions.size)

    def save(self, path: Path) -> None:
        """Write as HDF5, whole or not at all."""
        arrays = {
            "tokens": self.tokens,
            "positions": self.positions,
            "word_ids": self.word_ids,
            "words": np.array(self.words, dtype=str),
            "counts": self.counts,
        }
        if self.tags is not None:
            arrays["tags"] = np.array(self.tags, dtype=str)
        if self.bytes is not None:
            found = (self.bytes.documents, self.bytes.starts, self.bytes.first)
            arrays |= dict(zip(_BYTES, found, strict=True))
        attrs: dict[str, Scalar] = {
            "hash": self.hash,
            "output_sequences": self.output_sequences,
            "vocabulary": self.vocabulary,
            "source": self.source,
            "counts_source": self.counts_source,
            "seed": self.seed,
        }
        if self.framing:
            attrs |= dict(zip(_FRAMING, astuple(self.framing), strict=True))
        if self.begin:
            attrs |= dict(zip(_BEGINNING, astuple(self.begin), strict=True))
        write_container(path, KIND, {name: Entry(array) for name, array in arrays.items()}, attrs)

    @classmethod
    def load(cls, path: Path) -> Inputs:
        """Read what `save` wrote.

        Raises:
            PhasescopeError: not such a file, from a newer phasescope, or its bytes have changed.
        """
        with open_container(path, KIND) as container:
            if container.recompute_digest() != container.digest:
                raise _changed(path)
            attrs = container.attrs
            inputs = cls(
                tokens=container.read("tokens"),
                positions=container.read("positions"),
                word_ids=container.read("word_ids"),
                words=container.read("words").tolist(),
                tags=container.read("tags").tolist() if "tags" in container.names() else None,
                counts=container.read("counts"),
                counts_source=str(attrs["counts_source"]),
                output_sequences=int(attrs["output_sequences"]),
                vocabulary=int(attrs["vocabulary"]),
                source=str(attrs["source"]),
                seed=int(attrs["seed"]),
                framing=Framing(*(int(attrs[name]) for name in _FRAMING)) if _FRAMING[0] in attrs else None,
                begin=Beginning(int(attrs["begin_token"]), str(attrs["begin_text"]))
                if "begin_token" in attrs
                else None,
                bytes=BytePlaces(*map(container.read, _BYTES)) if _BYTES[0] in container.names() else None,
            )
        if inputs.hash != attrs["hash"]:
            raise _changed(path)
        return inputs

    def _digest(self) -> str:
        total = hashlib.blake2b(digest_size=16)
        scalars: dict[str, int] = {"vocabulary": self.vocabulary, "output_sequences": self.output_sequences}
        if self.framing:
            scalars |= asdict(self.framing)
        total.update(json.dumps([scalars, self.words, self.tags]).encode())
        for array in (self.tokens, self.positions, self.word_ids):
            total.update(json.dumps(array.shape).encode())
            total.update(np.ascontiguousarray(array, dtype="<i4").tobytes())
        return total.hexdigest()


def _changed(path: Path) -> PhasescopeError:
    return PhasescopeError(
        f"The bytes of {path} have changed since it was written: what was captured with it can no longer be told. "
        "Restore it from a copy, or capture into a new run."
    )
