"""The corpus that words are counted in: a suite's own training text, a file, an index, a list of counts, a service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import progress
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Counts, NgramIndex, Vectors


class NoReferenceError(PhasescopeError):
    """Nothing was asked for, and the suite brings no training text."""


@dataclass(frozen=True)
class Reference:
    """What n-grams are counted in, and vectors of words if there are any (else why there are none)."""

    source: str
    counts: Counts
    vectors: Vectors | None
    no_vectors: str = ""


def find_reference(reader: RunReader, reference: str | None, vectors: str | None, unit: str) -> Reference:
    """What `--reference` and `--vectors` name; by default the training text of a suite from the nursery.

    An index that has to be made is kept in the run's folder, in `reference/`, and taken from there next time; so are
    vectors that have to be trained.

    Args:
        reference: a text as `read_documents` takes it, the folder of an index or of a suite from the nursery, a .tsv or
            .csv file of words and counts, or `infini-gram:INDEX`; None for the suite's own training text.
        vectors: a file of word vectors; None trains fastText on the corpus, where that is a text or an index.
        unit: word or token. Tokens are counted in a suite's training text, or in an index of tokens.

    Raises:
        NoReferenceError: nothing is named, and the suite brings no text.
        PhasescopeError: what is named is not there, or does not suit the unit.
    """
    from phasescope.texts import NgramIndex

    counts = _counts(reader, reference, unit)
    if isinstance(counts, NgramIndex) and counts.description.unit != unit:
        other = counts.description.unit
        raise PhasescopeError(
            f"{counts.folder} is an index of {other}s, and {unit}s are wanted: choose --unit {other}, or another index."
        )
    if unit == "token":
        if not isinstance(counts, NgramIndex):
            raise PhasescopeError(f"{reference} counts words. For tokens give an index: phasescope index --tokenizer.")
        return Reference(_name(reader, reference), counts, None, "tokens have no word vectors")
    found, why = _vectors(reader, counts, vectors)
    return Reference(_name(reader, reference), counts, found, why)


def units_of(reader: RunReader, reference: str | None) -> tuple[str, ...]:
    """What can be counted: words and tokens in a suite's training text, what an index is of, words anywhere else."""
    from phasescope.suites.corpus import Corpus
    from phasescope.texts import NgramIndex, is_index

    if Corpus(Path(reference or str(reader.manifest.get("source", "")))).exists:
        return ("word", "token")
    if reference and is_index(Path(reference)):
        return (NgramIndex(Path(reference)).description.unit,)
    return ("word",)


def build_from(corpus: str, out: Path, tokenizer: str | None = None) -> NgramIndex:
    """`phasescope index`: an index of the words of a corpus, or of its tokens where a tokenizer is given.

    Args:
        corpus: what `read_documents` takes, or the folder of a suite from the nursery (the text it was trained on).
        out: a folder that is not there yet.
        tokenizer: a tokenizer.json, or a folder that has one.

    Raises:
        PhasescopeError: the corpus or the tokenizer cannot be read, or `out` is taken.
    """
    from phasescope.suites.corpus import Corpus
    from phasescope.texts import build_index, read_documents

    own = Corpus(Path(corpus))
    texts = own.documents() if own.exists else (document.text for document in read_documents(corpus))
    cut = _words if tokenizer is None else _tokens_by(Path(tokenizer))
    unit = "word" if tokenizer is None else "token"
    with progress(None, "indexing", "documents") as tracker:

        def documents() -> Iterator[list[Any]]:
            for text in texts:
                yield cut(text)
                tracker.advance()

        return build_index(out, documents(), unit=unit, source=corpus)


def _counts(reader: RunReader, reference: str | None, unit: str) -> Counts:
    from phasescope.suites.corpus import Corpus
    from phasescope.texts import NgramIndex, WordCounts, is_index, parse_service

    own = Corpus(Path(reference or str(reader.manifest.get("source", ""))))
    if own.exists:
        return _own_index(reader, own, unit)
    if reference is None:
        raise NoReferenceError(
            f"There is no reference corpus to count words in: {reader.manifest.get('source') or 'the suite'} holds no "
            f"training text. Name one: phasescope analyse RUN heuristics --reference FILE."
        )
    if service := parse_service(reference):
        return service
    path = Path(reference)
    if is_index(path):
        return NgramIndex(path)
    if path.suffix in (".tsv", ".csv"):
        return WordCounts.read(path)
    if unit == "token":
        raise PhasescopeError(
            f"{reference} is no index of tokens. Make one: phasescope index {reference} --tokenizer FOLDER --out INDEX."
        )
    stamp = [path.stat().st_size, path.stat().st_mtime_ns] if path.is_file() else []
    return _kept(reader, [reference, *stamp, unit], lambda out: build_from(reference, out))


def _own_index(reader: RunReader, own: Any, unit: str) -> NgramIndex:
    from phasescope.texts import build_index

    def build(out: Path) -> NgramIndex:
        documents: Iterator[Sequence[Any]]
        documents = own.token_documents() if unit == "token" else (_words(text) for text in own.documents())
        return build_index(out, documents, unit=unit, source=f"the text that {own.folder.name} was trained on")

    stat = (own.folder / "tokens.npy").stat()
    return _kept(reader, [str(own.folder.resolve()), stat.st_size, stat.st_mtime_ns, unit], build)


def _kept(reader: RunReader, made_from: list[Any], build: Callable[[Path], NgramIndex]) -> NgramIndex:
    """The index made from that before, or one made now."""
    from phasescope.texts import NgramIndex, is_index

    name = hashlib.blake2b(json.dumps(made_from).encode(), digest_size=8).hexdigest()
    folder = _kept_in(reader) / name
    return NgramIndex(folder) if is_index(folder) else build(folder)


def _kept_in(reader: RunReader) -> Path:
    return reader.folder.made / "reference"


def _vectors(reader: RunReader, counts: Counts, vectors: str | None) -> tuple[Vectors | None, str]:
    from phasescope.texts import NgramIndex, Vectors

    if vectors is not None:
        return Vectors.read(Path(vectors)), ""
    if not isinstance(counts, NgramIndex):
        return None, "no word vectors were given (--vectors FILE)"
    name = hashlib.blake2b(str(counts.folder.resolve()).encode(), digest_size=8).hexdigest()
    stamp = int((counts.folder / "table.0").stat().st_mtime)
    try:
        return Vectors.train(counts.documents(), _kept_in(reader) / f"vectors-{name}-{stamp}.bin"), ""
    except PhasescopeError as error:
        return None, str(error)


def _name(reader: RunReader, reference: str | None) -> str:
    return reference or f"the training text of {Path(str(reader.manifest['source'])).name}"


def _words(text: str) -> list[str]:
    from phasescope.texts import split_words

    return [text[word.start : word.end] for word in split_words(text)]


def _tokens_by(path: Path) -> Callable[[str], list[Any]]:
    from tokenizers import Tokenizer

    from phasescope.texts import Encoder

    file = path / "tokenizer.json" if path.is_dir() else path
    if path.is_dir() and not file.is_file():  # the folder of a suite from the nursery
        file = path / "tokenizer" / "tokenizer.json"
    if not file.is_file():
        raise PhasescopeError(f"There is no tokenizer.json in {path}. Give the folder that has one.")
    try:
        encoder = Encoder(Tokenizer.from_file(str(file)))
    except Exception as error:  # the library raises nothing more special
        raise PhasescopeError(f"{file} is no tokenizer that can be read: {error}") from error

    def cut(text: str) -> list[Any]:
        tokens: list[Any] = encoder.encode(text).tokens.tolist()
        return tokens

    return cut
