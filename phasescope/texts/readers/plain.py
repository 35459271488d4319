"""Documents out of plain text and lines of JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from phasescope.texts.document import LONGEST, Document, whole_characters
from phasescope.texts.readers.lines import numbered_lines, raw_lines
from phasescope.texts.readers.odd_rows import OddRows
from phasescope.texts.readers.records import read_record

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


def read_json_lines(path: Path, field: str | None = None) -> Iterator[Document]:
    """One document per line: what is under `field` of the JSON object on it. Blank lines are left out.

    A text, or ready tokens: a list of ids or of entries of the vocabulary. Without a field what the line holds is read:
    `text`; or `words`, `tokens` or `ids`, each with `tags` if they are there (`read_record`). One odd line is left out
    and told.
    """
    with OddRows(path, "lines") as odd:
        for line in raw_lines(path):
            if line.is_blank:
                continue
            document = None
            with odd.row():
                document = read_record(line.json_object(), field, line.place)
            if document is not None:
                yield document


def _document(lines: list[str]) -> Iterator[Document]:
    """The lines as one document; nothing if they are all blank."""
    text = "\n".join(lines).strip()
    if text:
        yield Document(whole_characters(text))
