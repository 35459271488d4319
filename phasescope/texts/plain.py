"""Documents out of plain text and JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.document import LONGEST, Document
from phasescope.texts.lines import numbered_lines

# WikiText heads an article with ` = Title = ` between blank lines; its sections have more signs, ` = = Section = = `.
_ARTICLE = re.compile(r"\s*= [^=\s](.*[^=\s])? =\s*$")


def read_text(path: Path) -> Iterator[Document]:
    """Documents of a plain text file: split before WikiText's article headings and at form feeds.

    A file with neither is one document, cut at a line end after every million characters.
    """
    lines: list[str] = []
    characters = 0
    after_blank = True
    for _, line in numbered_lines(path):
        pieces = line.split("\f")
        starts_article = after_blank and _ARTICLE.match(pieces[0])
        for place, piece in enumerate(pieces):
            if place or starts_article or characters > LONGEST:
                yield from _document(lines)
                lines, characters = [], 0
            lines.append(piece)
            characters += len(piece) + 1
        after_blank = not line.strip()
    yield from _document(lines)


def read_json_lines(path: Path, field: str = "text") -> Iterator[Document]:
    """One document per line: the string under `field` of the JSON object on it. Blank lines are left out."""
    for number, line in numbered_lines(path):
        if line.strip():
            yield from _document([_field_of(line, field, f"{path} line {number}")])


def _field_of(line: str, field: str, place: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise PhasescopeError(f"{place} is not JSON ({error}). Each line must be one JSON object.") from error
    if not isinstance(record, dict):
        raise PhasescopeError(
            f"{place} is a JSON {type(record).__name__}, not an object. Each line must be one object "
            f'like {{"{field}": "…"}}.'
        )
    if field not in record:
        raise PhasescopeError(
            f"{place} has no field {field!r}. {did_you_mean(field, record)} Name the field after the file: "
            "FILE.jsonl:FIELD."
        )
    text = record[field]
    if not isinstance(text, str):
        raise PhasescopeError(f"{place}: the field {field!r} holds a {type(text).__name__}, not a text.")
    return text


def _document(lines: list[str]) -> Iterator[Document]:
    """The lines as one document; nothing if they are all blank."""
    text = "\n".join(lines).strip()
    if text:
        yield Document(whole_characters(text))


def whole_characters(text: str) -> str:
    """`text` with half characters (lone surrogates, which JSON can hold and UTF-8 cannot) replaced by U+FFFD."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
