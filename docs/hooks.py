"""What MkDocs calls while it builds the manual."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

from phasescope.analyses import Question, questions


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """What the package knows of itself: plug-ins, commands, questions, and the columns of their tables."""
    where = page.file.src_uri
    if where == "extending.md":
        return markdown.replace("<!-- plug-ins -->", _plug_ins())
    if where == "analyses/index.md":
        return markdown.replace("<!-- questions -->", _questions())
    asked = questions().get(where.removeprefix("analyses/").removesuffix(".md"))
    if asked and where.startswith("analyses/"):
        return markdown + _columns(asked)
    return markdown + _commands() if where == "commands.md" else markdown


def _questions() -> str:
    """Every question, what it asks, and what has to be captured for it."""
    rows = [
        f"| [{name}]({name}.md) | {asked.asks} | {asked.needs} |"
        for name, asked in questions().items()
        if asked.package == "phasescope"
    ]
    return "\n".join(["| analysis | asks | needs |", "| --- | --- | --- |", *rows])


def _columns(asked: Question) -> str:
    """What each table has, column by column."""
    lines = ["\n## Columns\n"]
    for table in asked.tables:
        lines += [f"**`{table.name}`**: {table.about}\n", "| column | type | unit |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {kind} | {table.unit(name)} |" for name, kind in table.columns.items()]
        lines.append("")
    return "\n".join(lines)


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
