"""An index over a corpus that counts n-grams of any length exactly: infini-gram (Liu et al. 2024, arXiv 2401.17377).

infini-gram sorts the suffixes of a corpus of 16-bit numbers. Words (or tokens) get such numbers here; where there are
more of them than 16 bits can tell, each gets two, the first of which is never a second, so that what is found always
starts at a word.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import MissingLibraryError, PhasescopeError
from phasescope.store import read_json, write_array, write_json
from phasescope.store.files import explained

if TYPE_CHECKING:
    from jaxtyping import Int

FORMAT = 1
_DESCRIPTION = "index.json"
_WORDS = "words.txt"
_COUNTS = "counts.npy"
_SEPARATOR = 0xFFFF  # between documents: infini-gram's own
_FIRST_PARTS = 1024  # first halves of pairs
_SECOND_PARTS = _SEPARATOR - 1 - _FIRST_PARTS
_MOST_SINGLE = _SEPARATOR - 1
_SMALL = 64 << 20  # bytes below which infini-gram's index is built by one thread: parts that are too small go wrong


@dataclass(frozen=True)
class Description:
    """What an index is of. `unit`: word or token; `width`: 16-bit numbers per unit."""

    unit: str
    source: str
    total: int
    documents: int
    vocabulary: int
    width: int
    format: int = FORMAT


class NgramIndex:
    """A folder made by `build_index`; implements `Counts`.

    Raises:
        PhasescopeError: there is no index, it is damaged, or a newer phasescope made it.
    """

    longest = sys.maxsize

    def __init__(self, folder: Path) -> None:
        if not is_index(folder):
            raise PhasescopeError(f"{folder} is no n-gram index. Make one: phasescope index CORPUS --out {folder}.")
        self.folder = folder
        values = read_json(folder / _DESCRIPTION)
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise PhasescopeError(
                f"{folder} was made by another version of phasescope: make it anew with phasescope index."
            )
        self.description = Description(**values)
        for name in ("tokenized.0", "table.0", "offset.0", _COUNTS):
            # infini-gram itself would end the process without a word.
            if not (folder / name).is_file():
                raise PhasescopeError(f"{folder} is damaged: it has no {name}. Make it anew with phasescope index.")

    @property
    def total(self) -> int:
        return self.description.total

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """The number of each word; empty for an index of tokens."""
        path = self.folder / _WORDS
        words = path.read_text(encoding="utf-8").split("\n") if path.is_file() else []
        return {word: number for number, word in enumerate(words)}

    @cached_property
    def unit_counts(self) -> Int[np.ndarray, "vocabulary"]:
        """How often each word or token occurs."""
        counts: Int[np.ndarray, "vocabulary"] = np.load(self.folder / _COUNTS)
        return counts

    def ids(self, words: Sequence[str]) -> Int[np.ndarray, "words"]:
        known = self.vocabulary
        return np.array([known.get(word, -1) for word in words], dtype=np.int64)

    def count(self, grams: Int[np.ndarray, "grams n"]) -> Int[np.ndarray, "grams"]:
        if grams.shape[1] == 1:
            known = grams[:, 0] < len(self.unit_counts)
            return np.where(known, self.unit_counts[np.where(known, grams[:, 0], 0)], 0)
        queries = _as_parts(grams.ravel(), self.description.width).reshape(len(grams), -1).tolist()
        count = self._engine.count
        return np.fromiter((count(input_ids=query).count for query in queries), dtype=np.int64, count=len(queries))

    def documents(self) -> Iterator[list[str]]:
        """The words of each document, in order: what the index was made of."""
        words = list(self.vocabulary)
        numbers = np.memmap(self.folder / "tokenized.0", dtype="<u2", mode="r")
        borders = [int(offset) // 2 for offset in np.fromfile(self.folder / "offset.0", dtype="<u8")]
        for first, last in zip(borders, [*borders[1:], len(numbers)], strict=True):
            ids = _from_parts(np.asarray(numbers[first + 1 : last]), self.description.width)
            yield [words[i] for i in ids]

    @cached_property
    def _engine(self) -> Any:
        infini_gram = _infini_gram()
        # Reading ahead costs more than it gains: an index of this size is in memory after a moment.
        made = infini_gram.InfiniGramEngine(
            str(self.folder),
            eos_token_id=_SEPARATOR - 1,
            vocab_size=_SEPARATOR,
            token_dtype="u16",
            ds_prefetch_depth=0,
            sa_prefetch_depth=0,
            od_prefetch_depth=0,
        )
        return made.engine


def is_index(path: Path) -> bool:
    """Whether a folder is an index (perhaps a damaged one)."""
    return (path / _DESCRIPTION).is_file()


def build_index(out: Path, documents: Iterable[Sequence[Any]], *, unit: str, source: str) -> NgramIndex:
    """Index a corpus; the folder exists whole or not at all.

    Args:
        out: a folder that does not exist yet, or an empty one.
        documents: words (unit `word`) or token numbers (unit `token`) of each document, in order. No n-gram reaches
            over the end of a document.
        unit: `word` or `token`.
        source: the name of the corpus, for the record.

    Raises:
        PhasescopeError: the folder is taken, the corpus is empty, infini-gram is not installed or fails.
    """
    _infini_gram()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PhasescopeError(f"{out} is there already. Choose another --out, or delete it.")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        _write(temporary, documents, unit, source)
        _sort_suffixes(temporary)
        if not is_index(out):  # another process may have been quicker
            if out.exists():
                out.rmdir()
            temporary.rename(out)
    except OSError as error:
        raise explained(error, out) or error from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return NgramIndex(out)


def _write(folder: Path, documents: Iterable[Sequence[Any]], unit: str, source: str) -> None:
    """The corpus as infini-gram reads it, and what stands beside it."""
    numbers: dict[str, int] = {}
    pieces: list[Int[np.ndarray, "units"]] = []
    for document in documents:
        words = unit == "word"
        ids = [numbers.setdefault(word, len(numbers)) for word in document] if words else list(document)
        if ids:
            pieces.append(np.array(ids, dtype=np.uint32))
    if not pieces:
        raise PhasescopeError(f"The corpus {source} is empty: there is nothing to index.")
    everything = np.concatenate(pieces)
    vocabulary = int(everything.max()) + 1
    width = 1 if vocabulary <= _MOST_SINGLE else 2
    if vocabulary > _FIRST_PARTS * _SECOND_PARTS:
        raise PhasescopeError(f"{source} has {vocabulary:,} different {unit}s: more than an index can hold.")
    at, offsets = 0, []
    with (folder / "tokenized.0").open("wb") as file:
        for piece in pieces:
            offsets.append(2 * at)
            file.write(np.array([_SEPARATOR], dtype="<u2").tobytes() + _as_parts(piece, width).tobytes())
            at += 1 + len(piece) * width
    (folder / "offset.0").write_bytes(np.array(offsets, dtype="<u8").tobytes())
    if unit == "word":
        (folder / _WORDS).write_text("\n".join(numbers), encoding="utf-8")
    write_array(folder / _COUNTS, np.bincount(everything, minlength=vocabulary).astype(np.int64))
    about = Description(unit, source, len(everything), len(pieces), vocabulary, width)
    write_json(folder / _DESCRIPTION, asdict(about))


def _as_parts(ids: Int[np.ndarray, "units"], width: int) -> Int[np.ndarray, "units*width"]:
    if width == 1:
        return ids.astype("<u2")
    first, second = np.divmod(ids, _SECOND_PARTS)
    return np.stack([first, second + _FIRST_PARTS], axis=-1).astype("<u2").ravel()


def _from_parts(parts: Int[np.ndarray, "units*width"], width: int) -> Int[np.ndarray, "units"]:
    if width == 1:
        return parts.astype(np.int64)
    pairs = parts.astype(np.int64).reshape(-1, 2)
    return pairs[:, 0] * _SECOND_PARTS + pairs[:, 1] - _FIRST_PARTS


def _sort_suffixes(folder: Path) -> None:
    """Let infini-gram sort the suffixes, which is what makes counting fast.

    It works on the files that are there, in a process of its own (it changes directories and raises limits), and
    hands their names to a shell: so it sees the folder under a name without blanks.
    """
    import resource

    size = (folder / "tokenized.0").stat().st_size
    threads = 1 if size < _SMALL else os.cpu_count() or 1
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with tempfile.TemporaryDirectory(prefix="phasescope-") as short:
        link = Path(short) / "index"
        link.symlink_to(folder.resolve(), target_is_directory=True)
        options = {"data_dir": link, "save_dir": link, "temp_dir": link, "token_dtype": "u16", "cpus": threads}
        options |= {"mem": max(4, size * 16 >> 30), "ulimit": most_files}
        command = [sys.executable, "-m", "infini_gram.indexing"]
        command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (folder / "table.0").is_file():
        why = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()[-1]
        raise PhasescopeError(f"infini-gram could not index {folder}: {why}. Is there room on the disk?")


def _infini_gram() -> Any:
    try:
        from infini_gram import engine
    except ImportError as error:
        raise MissingLibraryError(
            "Counting n-grams needs infini-gram, which is not installed: pip install 'phasescope[heuristics]'; it has "
            "packages for Linux on x86-64 and for macOS. Elsewhere its web interface counts: --reference "
            "infini-gram:INDEX."
        ) from error
    return engine
