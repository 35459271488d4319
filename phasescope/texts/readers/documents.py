"""From the name of a text to its documents."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.document import Document
from phasescope.texts.readers.dataset import DatasetName, read_dataset
from phasescope.texts.readers.docs import docs_texts
from phasescope.texts.readers.plain import read_json_lines, read_text
from phasescope.texts.readers.records import read_ids, read_tagged_tokens
from phasescope.texts.readers.treebank import read_conllu

DEFAULT = "docs"
"""English prose from the documentation of Python and the scientific packages, see `phasescope.texts.readers.docs`."""

_READERS: dict[str, Callable[[Path], Iterator[Document]]] = {
    ".txt": read_text,
    ".jsonl": read_json_lines,
    ".conllu": read_conllu,
    ".json": lambda path: iter([_tagged(path)]),
    ".npy": lambda path: iter(read_ids(path)),
}
_JSON_FIELD = re.compile(r"(?P<path>.+\.jsonl):(?P<field>[^/\\]+)$")
_WHAT_THERE_IS = (
    "A text is 'docs', a file (.txt, .jsonl, .conllu, or ready tokens: .json, .npy), or a Hugging Face data set "
    "OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]."
)


def read_documents(source: str | Path) -> Iterator[Document]:
    """The documents of a text, one after another; none is held longer than needed.

    Args:
        source: `docs` (the built-in default, English prose that is on every machine); a file: `.txt` (documents start
            at WikiText headings and form feeds), `.jsonl` (field `text`, another as `FILE.jsonl:FIELD`; or words,
            tokens or ids with their tags: `phasescope.texts.readers.records`), `.conllu` (gold words and tags), `.json`
            (a list of `[token, tag]`) or `.npy` (token ids); or a Hugging Face data set,
            `OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]` (split `train` and column `text` unless said; streamed). A literal
            `<|endoftext|>` or `<|end_of_text|>` in any of them ends a document.

    Raises:
        PhasescopeError: at once if there is no such text; on reading if it is empty, not UTF-8, or not what its name
            says, with the file and the line.
    """
    return _not_empty(_open(source), str(source))


def _open(source: str | Path) -> Iterator[Document]:
    name = str(source)
    if name == DEFAULT and isinstance(source, str):
        return (Document(text) for text in docs_texts())
    if (field := _JSON_FIELD.match(name)) and not os.path.exists(name):
        path = _file(field["path"])
        return read_json_lines(path, field["field"])
    if Path(name).suffix.lower() in _READERS or os.path.exists(name) or isinstance(source, Path):
        path = _file(name)
        if reader := _READERS.get(path.suffix.lower()):
            return reader(path)
        raise PhasescopeError(f"What kind of text {path} is cannot be told from its name. {_WHAT_THERE_IS}")
    if dataset := DatasetName.parse(name):
        return read_dataset(dataset)
    raise PhasescopeError(f"There is no text {name!r}. {_WHAT_THERE_IS}")


def _tagged(path: Path) -> Document:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhasescopeError(f"The text {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PhasescopeError(f"{path} is not JSON ({error}).") from error
    return read_tagged_tokens(values, str(path))


def _file(name: str) -> Path:
    path = Path(name)
    if path.is_dir():
        raise PhasescopeError(f"{path} is a folder; a text is one file. Put its texts into one .jsonl or .txt file.")
    if not os.path.exists(path):
        there = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        texts = sorted(other for other in there if Path(other).suffix.lower() in _READERS)
        remedy = did_you_mean(path.name, texts) if texts else _WHAT_THERE_IS
        raise PhasescopeError(f"There is no file {path}. {remedy}")
    return path


def _not_empty(documents: Iterator[Document], name: str) -> Iterator[Document]:
    empty = True
    for document in documents:
        for part in document.parts():
            empty = False
            yield part
    if empty:
        raise PhasescopeError(f"The text {name} is empty: it holds no document with anything but blanks in it.")
