"""Text files, read line by line so that their size does not matter."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError

_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 file with their numbers from 1, without line ends (LF or CRLF); a byte order mark is left out.

    Raises:
        PhasescopeError: the file cannot be read or is not UTF-8; the message names the line and the byte.
    """
    for line in raw_lines(path):
        yield line.number, line.text()


@dataclass(frozen=True)
class RawLine:
    """A line of a file as its bytes, so that one that cannot be read does not end the reading of others."""

    path: Path
    number: int
    raw: bytes
    before: int

    @property
    def is_blank(self) -> bool:
        return not self.raw.strip()

    @property
    def place(self) -> str:
        return f"{self.path} line {self.number}"

    def text(self) -> str:
        """Without its end. Raises `PhasescopeError` where it is not UTF-8, with the line and the byte."""
        return _decode(self.raw, self.path, self.number, self.before).rstrip("\r\n")

    def json_object(self) -> dict[str, Any]:
        """The JSON object on it. Raises `PhasescopeError` where it is none."""
        text = self.text()
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise PhasescopeError(f"{self.place} is not JSON ({error}). Each line must be one JSON object.") from error
        if not isinstance(record, dict):
            raise PhasescopeError(f"{self.place} is a JSON {type(record).__name__}, not an object with fields.")
        return record


def raw_lines(path: Path) -> Iterator[RawLine]:
    """The lines of a file, to be read one by one. Raises `PhasescopeError` where the file cannot be read."""
    try:
        with path.open("rb") as file:
            before = 0
            for number, raw in enumerate(file, start=1):
                yield RawLine(path, number, raw, before)
                before += len(raw)
    except OSError as error:
        raise PhasescopeError(f"The text {path} cannot be read: {error.strerror}.") from error


def _decode(raw: bytes, path: Path, number: int, before: int) -> str:
    if number == 1:
        if encoding := _OTHER_ENCODINGS.get(raw[:2]):
            raise PhasescopeError(
                f"{path} is {encoding}, not UTF-8: convert it (iconv -f {encoding} -t UTF-8) and try again."
            )
        before += len(raw) - len(raw := raw.removeprefix(codecs.BOM_UTF8))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PhasescopeError(
            f"{path} is not UTF-8: line {number} (byte {before + error.start}) holds the byte "
            f"0x{raw[error.start]:02x}. Convert it (for instance iconv -f LATIN1 -t UTF-8) and try again."
        ) from error
