"""Every command in the manual is one that exists, with options that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer.main

from phasescope.cli import app
from tests.docs.pages import PAGES, ROOT, commands_in, mentions_in

GROUP: Any = typer.main.get_command(app)
COMMANDS: dict[str, Any] = {name: GROUP.get_command(None, name) for name in GROUP.commands}

# A parameter, or the value of an option.
LEFT_OUT = ("MissingParameter", "BadOptionUsage")


def complaint(arguments: list[str]) -> str | None:
    """What the command line says to these arguments, without running anything; None: nothing."""
    # Brackets stand around what may be left out; help would be printed, so it is not asked for.
    words = [word.lstrip("[").rstrip("]") for word in arguments if word not in ("--help", "-h")]
    if not words or words == ["--version"]:
        return None
    if words[0] not in COMMANDS:
        return f"there is no command {words[0]!r}"
    try:
        COMMANDS[words[0]].make_context(words[0], words[1:])
    except Exception as error:  # Typer's own classes of errors lie elsewhere in each of its versions
        return f"{type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_the_manual_can_be_typed(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    wrong = [(line, said) for line in commands_in(text) if (said := complaint(line)) is not None]
    # Running text names commands without all that they need, but never with what they do not know.
    wrong += [
        (line, said)
        for line in mentions_in(text)
        if (said := complaint(line)) is not None and not said.startswith(LEFT_OUT)
    ]
    assert not wrong


def test_commands_are_found_in_the_manual() -> None:
    """The readers of pages see lines that go on, comments, loops, and commands in running text."""
    text = """See `phasescope info
RUN`.

```sh
for x in 1 2; do
  phasescope train a \\
      --sizes $x   # it's
done
ls
```
"""
    assert commands_in(text) == [["train", "a", "--sizes", "$x"]]
    assert mentions_in(text) == [["info", "RUN"]]
    assert sum(len(commands_in(page.read_text(encoding="utf-8"))) for page in PAGES) > 30


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["caputre", "SUITE"], "no command"),
        (["capture", "SUITE"], "MissingParameter"),
        (["capture", "SUITE", "--out", "RUN", "--engines", "torch"], "NoSuchOption"),
        (["layer", "RUN", "third", "mlp_out"], "BadParameter"),
    ],
)
def test_a_command_that_cannot_be_typed_is_found(line: list[str], said: str) -> None:
    assert said in (complaint(line) or "")
