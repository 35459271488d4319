"""The manual's pages, and the commands in them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
_BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_COLUMNS = re.compile(r"^\| `(\w+)` \| (\w+, .*) \|$", re.MULTILINE)
_INLINE = re.compile(r"`phasescope ([a-z]+(?: [^`]*)?)`")


def commands_in(text: str) -> list[list[str]]:
    """The arguments of every `phasescope …` line in the blocks of shell commands."""
    lines = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[1:] for line in words if line[:1] == ["phasescope"]]


def mentions_in(text: str) -> list[list[str]]:
    """The arguments of every `phasescope …` in running text, which may leave some out."""
    return [shlex.split(found) for found in _INLINE.findall(" ".join(text.split("\n")))]


def columns_in(text: str) -> dict[str, list[str]]:
    """The columns of every table that a page lists in one row, without what it says of them in brackets."""
    rows = {name: re.sub(r" \([^()]*\)", "", told) for name, told in _COLUMNS.findall(text)}
    return {name: told.split(", ") for name, told in rows.items() if "…" not in told}


def section(text: str, heading: str) -> str:
    """What stands under a heading of the second level."""
    return text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
