"""The application that the commands belong to."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from phasescope.errors import PhasescopeError


class _Commands(TyperGroup):
    """Turns what users can put right into one sentence and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        from rich.markup import escape

        from phasescope.cli.stopping import stoppable
        from phasescope.errors import NO_SPACE

        with stoppable():
            try:
                done = super().invoke(ctx)
                sys.stdout.flush()  # here, and not when Python has nobody left to tell that it cannot
                return done
            except PhasescopeError as error:
                _say(f"[bold red]Error:[/] {escape(str(error))}")
            except KeyboardInterrupt:
                _say("Stopped. Nothing captured is lost: run the same command again to go on.")
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                place = error.filename or "where the output goes"
                _say(f"[bold red]Error:[/] There is no space left, {escape(str(place))}. Free some and run it again.")
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries once more at its end
        raise typer.Exit(1)


def _say(what: str) -> None:
    from phasescope.console import stderr

    with suppress(OSError):  # the terminal may be closed
        stderr().print(what, soft_wrap=True)


app = typer.Typer(
    cls=_Commands,
    help="See when, where and why a language model settles: probe every checkpoint of a training run.",
    epilog="Start with: phasescope demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from phasescope import __version__

        print(f"phasescope {__version__}")
        raise typer.Exit
