"""Documents out of CoNLL-U treebanks, with their gold words and universal parts of speech."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.texts.document import LONGEST, Document, Word
from phasescope.texts.readers.lines import numbered_lines
from phasescope.texts.readers.odd_rows import OddRows

if TYPE_CHECKING:
    from conllu.models import Token, TokenList


def read_conllu(path: Path) -> Iterator[Document]:
    """One document per `# newdoc`; without any, the whole file (cut after every million characters).

    The text is put together from the surface words, `SpaceAfter=No` respected, paragraphs (`# newpar`) separated by a
    blank line. A multiword token (2-3 don't) is one word, as it is written, with the tag of its first syntactic word
    (do: AUX); empty nodes (8.1) are not in the text and left out. A word tagged `_` has no tag. One odd sentence of
    many (not CoNLL-U, or whose words are not its text) is left out and told.
    """
    document = _Growing()
    with OddRows(path, "sentences") as odd:
        for number, block in _blocks(path):
            sentences: list[TokenList] = []
            with odd.row():
                sentences = _sentences(path, number, block)
            for sentence in sentences:
                starts = [key.split(" ")[0] for key in sentence.metadata]
                if "newdoc" in starts or document.length > LONGEST:
                    yield from document.finished()
                    document = _Growing()
                elif "newpar" in starts:
                    document.space = "\n\n"
                for surface, tag, spaced in _surface_words(sentence):
                    document.add(surface, tag, spaced)
    yield from document.finished()


@dataclass
class _Growing:
    """A document being put together word by word."""

    space: str = ""  # what the next word is separated with
    words: list[Word] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    length: int = 0

    def add(self, surface: str, tag: str | None, spaced: bool) -> None:
        space = self.space if self.length else ""
        start = self.length + len(space)
        self.pieces += [space, surface]
        self.length = start + len(surface)
        self.words.append(Word(start, self.length, tag))
        self.space = " " if spaced else ""

    def finished(self) -> Iterator[Document]:
        if self.words:
            yield Document("".join(self.pieces), tuple(self.words))


def _check_text(sentence: TokenList, path: Path, line: int) -> None:
    """Where a sentence says its text, its words must be those of that text: else tags would be of other words."""
    text = sentence.metadata.get("text")
    words = "".join("".join(surface.split()) for surface, _, _ in _surface_words(sentence))
    if text is not None and "".join(text.split()) != words:
        raise PhasescopeError(
            f"{path}: the words of the sentence at line {line} are not those of its text ({text[:60]!r}), so its tags "
            "cannot be trusted. Correct the words, or the line # text."
        )


def _sentences(path: Path, number: int, block: str) -> list[TokenList]:
    """The sentences of a block whose first line has that number: one, where blank lines are where they belong."""
    import conllu
    from conllu.exceptions import ParseException

    try:
        parsed = list(conllu.parse(block))
    except ParseException as error:
        raise PhasescopeError(
            f"{path}: the sentence at line {number} is not CoNLL-U ({error}). Columns are separated by tabs, "
            "sentences by blank lines."
        ) from error
    for sentence in parsed:
        _check_text(sentence, path, number)
    return parsed


def _blocks(path: Path) -> Iterator[tuple[int, str]]:
    """Sentences as written, each with the number of its first line."""
    lines: list[str] = []
    first = 1
    for number, line in numbered_lines(path):
        if line.strip():
            if not lines:
                first = number
            lines.append(line)
        elif lines:
            yield first, "\n".join(lines) + "\n\n"
            lines = []
    if lines:
        yield first, "\n".join(lines) + "\n\n"


def _surface_words(sentence: TokenList) -> Iterator[tuple[str, str | None, bool]]:
    """Form, tag and whether a space follows, of every word as it is written."""
    tags = {token["id"]: token.get("upos") for token in sentence if isinstance(token["id"], int)}
    covered = 0  # syntactic words up to this one have been written by a multiword token
    for token in sentence:
        identifier = token["id"]
        if isinstance(identifier, int):
            if identifier > covered:
                yield token["form"], _known(tags[identifier]), _spaced(token)
        elif identifier[1] == "-":
            covered = identifier[2]
            yield token["form"], _known(tags.get(identifier[0])), _spaced(token)


def _known(tag: str | None) -> str | None:
    return None if tag in (None, "_") else tag


def _spaced(token: Token) -> bool:
    return (token.get("misc") or {}).get("SpaceAfter") != "No"
