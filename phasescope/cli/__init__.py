"""The commands: parse, call, print. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

# Importing a module of commands is what adds them, in the order in which the help lists them.
from phasescope.cli import making  # noqa: F401  isort: skip
from phasescope.cli import evaluations  # noqa: F401  isort: skip
from phasescope.cli import looking  # noqa: F401  isort: skip
from phasescope.cli import phases  # noqa: F401  isort: skip
from phasescope.cli.app import app


def main() -> None:
    """The console script."""
    app()
