"""Documents out of a Hugging Face data set, streamed: nothing is downloaded that is not read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.document import Document
from phasescope.texts.readers.odd_rows import OddRows
from phasescope.texts.readers.records import of_value

if TYPE_CHECKING:
    from datasets import IterableDataset

_FORM = re.compile(
    r"(?P<repository>[\w-][\w.-]*/[\w-][\w.-]*)(/(?P<config>[\w.-]+))?(:(?P<split>[\w.-]+)(:(?P<column>.+))?)?$"
)


@dataclass(frozen=True)
class DatasetName:
    """`owner/name[/config][:split[:column]]`, for instance `Salesforce/wikitext/wikitext-2-raw-v1:validation`."""

    repository: str
    config: str | None = None
    split: str = "train"
    column: str = "text"

    @classmethod
    def parse(cls, source: str) -> DatasetName | None:
        """The name of a data set, or None if `source` does not have that form."""
        match = _FORM.match(source)
        return cls(**{key: value for key, value in match.groupdict().items() if value}) if match else None


def read_dataset(name: DatasetName) -> Iterator[Document]:
    """One document per row with text (or token ids) in it, in the order of the data set. Odd rows are told."""
    rows = _stream(name)
    place = f"The data set {name.repository}, split {name.split},"
    with OddRows(name.repository, "rows") as odd:
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except Exception as error:  # a lost connection, a damaged file: the library raises whatever its parts raise
                raise PhasescopeError(f"{place} stopped: {_first_line(error)} Try again.") from error
            if name.column not in row:
                raise PhasescopeError(
                    f"{place} has no column {name.column!r}. {did_you_mean(name.column, row)} "
                    "Name it at the end: OWNER/NAME:SPLIT:COLUMN."
                )
            document = None
            with odd.row():
                document = of_value(row[name.column], f"{place} row {odd.seen}", f"the column {name.column!r}")
            if document is not None:
                yield document


def _stream(name: DatasetName) -> Iterator[dict[str, object]]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise PhasescopeError(
            f"Reading the data set {name.repository} needs the package datasets: pip install 'phasescope[datasets]'."
        ) from error
    try:
        loaded: IterableDataset = load_dataset(name.repository, name.config, split=name.split, streaming=True)
    except Exception as error:  # not there, no network, a wrong split, …: the library's own sentence says which
        raise PhasescopeError(
            f"The data set {name.repository} (split {name.split}) cannot be opened: {_first_line(error)} "
            "It is named OWNER/NAME[/CONFIG][:SPLIT[:COLUMN]]; a file of your own must exist and end in .txt, .jsonl "
            "or .conllu."
        ) from error
    return iter(loaded)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{lines[0].rstrip('. ')}." if lines else f"{type(error).__name__}."
