"""What MkDocs calls while it builds the manual."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page of commands ends with what Typer says of every one of them."""
    return markdown + _commands() if page.file.src_uri == "commands.md" else markdown


def _commands() -> str:
    """Typer's own documentation of the application, without its title, examples as code."""
    made = subprocess.run(
        [sys.executable, "-m", "typer", "phasescope.cli", "utils", "docs", "--name", "phasescope"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    first = made.index("\n## ")
    return re.sub(r"^Example: (.+)$", r"**Example**:\n\n```console\n$ \1\n```", made[first:], flags=re.MULTILINE)
