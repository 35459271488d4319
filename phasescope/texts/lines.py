"""Text files, read line by line so that their size does not matter."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from phasescope.errors import PhasescopeError

_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines of a UTF-8 file with their numbers from 1, without line ends (LF or CRLF); a byte order mark is left out.

    Raises:
        PhasescopeError: the file cannot be read or is not UTF-8; the message names the line and the byte.
    """
    try:
        with path.open("rb") as file:
            before = 0
            for number, raw in enumerate(file, start=1):
                yield number, _decode(raw, path, number, before).rstrip("\r\n")
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
