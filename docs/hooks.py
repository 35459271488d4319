"""What MkDocs calls while it builds the manual."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page of commands ends with what Typer says of every one of them; extending lists the plug-ins there are."""
    if page.file.src_uri == "extending.md":
        return markdown.replace("<!-- plug-ins -->", _plug_ins())
    return markdown + _commands() if page.file.src_uri == "commands.md" else markdown


def _plug_ins() -> str:
    """Those that are installed where the manual is made."""
    made = subprocess.run(
        [sys.executable, "-m", "phasescope.cli", "plugins", "--json"], capture_output=True, text=True, check=True
    ).stdout
    rows = [f"| {one['kind']} | `{one['name']}` | {one['about']} |" for one in json.loads(made)]
    if not rows:
        return "No plug-ins are installed where this manual was made."
    return "\n".join(
        ["Installed where this manual was made:", "", "| kind | name | what |", "| --- | --- | --- |", *rows]
    )


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
