"""The text of a nursery: split, given a tokenizer, and kept as one flat array of tokens."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.store import replacing, write_array
from phasescope.suites.recipe import SMALLEST_VOCABULARY, Recipe
from phasescope.suites.trainee import new_folder

if TYPE_CHECKING:
    from jaxtyping import Shaped
    from numpy.typing import NDArray

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Text:
    """The documents that are trained on, and those that are held out, in the order in which they came."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]

    @classmethod
    def read(cls, documents: Iterable[str], recipe: Recipe) -> Text:
        """Read documents until there is enough text, and hold out the end.

        A document at the border is held out whole, unless it is itself longer than what is to be held out: then it
        is cut at a line's end or a space. What is held out is not less than asked.

        Raises `PhasescopeError` if there is no text.
        """
        whole: list[str] = []
        length = 0
        for document in documents:
            if document.strip():
                # Half a surrogate pair, which JSON can hold and UTF-8 cannot, becomes a question mark.
                valid = document.encode("utf-8", errors="replace").decode("utf-8")
                whole.append(valid[: recipe.most_text - length])
                length += len(whole[-1])
            if length >= recipe.most_text:
                break
        if not whole:
            raise PhasescopeError("The text to train on is empty: give documents with some words in them.")
        return cls(*_split(whole, held_out=max(1, round(recipe.held_out * length))))

    @property
    def digest(self) -> str:
        """A hash of all documents and their borders."""
        digest = hashlib.sha256()
        for document in (*self.training, "", *self.held_out):
            encoded = document.encode("utf-8")
            digest.update(len(encoded).to_bytes(8, "little") + encoded)
        return digest.hexdigest()


def _split(documents: Sequence[str], held_out: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    last, length = len(documents) - 1, len(documents[-1])
    while length < held_out:
        last -= 1
        length += len(documents[last])
    border = documents[last]
    if len(border) <= held_out and last > 0:
        return tuple(documents[:last]), tuple(documents[last:])
    cut = length - held_out
    near = max(1, cut - 1000)
    cut = next((place + 1 for mark in "\n " if (place := border.rfind(mark, near, cut)) >= 0), cut)
    return (*documents[:last], border[:cut]), (border[cut:], *documents[last + 1 :])


@dataclass(frozen=True)
class Corpus:
    """The files of a nursery that all of its models share."""

    folder: Path

    @property
    def tokenizer(self) -> Path:
        return self.folder / "tokenizer"

    @property
    def tokens(self) -> Shaped[NDArray[Any], "tokens"]:
        """The tokens trained on, from disk as they are read: each document is followed by <|endoftext|>."""
        found: NDArray[Any] = np.load(self.folder / "tokens.npy", mmap_mode="r")
        return found

    @property
    def exists(self) -> bool:
        """Whether the folder holds a text that was trained on; one that may not be looked into has none for us."""
        try:
            return (self.folder / "tokens.npy").is_file() and (self.tokenizer / "tokenizer.json").is_file()
        except PermissionError:
            return False

    def token_documents(self) -> Iterator[Shaped[NDArray[Any], "document_tokens"]]:
        """The tokens of each document that was trained on, in order, without <|endoftext|>."""
        tokens, end = self.tokens, self._load_tokenizer().token_to_id(END_OF_TEXT)
        first = 0
        for last in np.flatnonzero(tokens == end):
            yield np.asarray(tokens[first:last])
            first = int(last) + 1

    def documents(self) -> Iterator[str]:
        """The text of each document that was trained on, in order."""
        tokenizer = self._load_tokenizer()
        for tokens in self.token_documents():
            yield tokenizer.decode(tokens.tolist(), skip_special_tokens=False)

    def _load_tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        return Tokenizer.from_file(str(self.tokenizer / "tokenizer.json"))

    def write(self, text: Text, recipe: Recipe) -> None:
        """Train the tokenizer, and write tokens, counts and the held-out text.

        Raises `PhasescopeError` if the text is too short for the vocabulary, or for one batch.
        """
        tokenizer = _train_tokenizer(text.training, recipe.vocabulary)
        tokens = _encode(tokenizer, text.training, recipe.vocabulary)
        windows = (len(tokens) - 1) // recipe.context
        if windows < recipe.batch:
            raise PhasescopeError(
                f"The text is too short: its {counted(len(tokens), 'token')} fill "
                f"{counted(windows, 'window')} of {recipe.context}, and "
                f"one batch needs {recipe.batch}. Give more text, or a smaller context or batch."
            )
        counts = np.bincount(tokens, minlength=recipe.vocabulary).astype(np.int64)
        # One that is there was left by a beginning that was killed, perhaps with another text.
        shutil.rmtree(self.tokenizer, ignore_errors=True)
        with new_folder(self.tokenizer) as temporary:
            _save_tokenizer(tokenizer, temporary)
        write_array(self.folder / "tokens.npy", tokens)
        write_array(self.folder / "token_counts.npy", counts)
        with replacing(self.folder / "heldout.jsonl") as temporary:
            lines = (json.dumps({"text": document}, ensure_ascii=False) + "\n" for document in text.held_out)
            temporary.write_text("".join(lines), encoding="utf-8")


def _train_tokenizer(documents: Sequence[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer as GPT-NeoX has: every text can be encoded, and decoded to itself."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        min_frequency=2,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    entries = tokenizer.get_vocab_size()
    if entries < vocabulary:
        raise PhasescopeError(
            f"The text is too short for a vocabulary of {vocabulary}: it supports "
            f"{counted(entries, 'entry', 'entries')}. Give more text, or a vocabulary "
            f"from {SMALLEST_VOCABULARY} to {entries}."
        )
    return tokenizer


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    from transformers import PreTrainedTokenizerFast

    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
    ).save_pretrained(folder)


def _encode(tokenizer: Any, documents: Sequence[str], vocabulary: int) -> Shaped[NDArray[Any], "tokens"]:
    kind = np.uint16 if vocabulary <= 2**16 else np.uint32
    end = np.array([tokenizer.token_to_id(END_OF_TEXT)], dtype=kind)
    pieces = []
    for first in range(0, len(documents), 1000):
        for encoded in tokenizer.encode_batch_fast(documents[first : first + 1000], add_special_tokens=False):
            pieces += [np.array(encoded.ids, dtype=kind), end]
    return np.concatenate(pieces)
