"""The application that the commands belong to."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from phasescope.errors import PhasescopeError, PhasescopeWarning


class _Commands(TyperGroup):
    """Turns what users can put right into one sentence and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        from rich.markup import escape

        from phasescope.console import stderr

        try:
            with warnings.catch_warnings():
                warnings.showwarning = _told(warnings.showwarning)
                return super().invoke(ctx)
        except PhasescopeError as error:
            stderr().print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        except KeyboardInterrupt:
            stderr().print("Stopped. Nothing captured is lost: run the same command again to go on.")
        raise typer.Exit(1)


def _told(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Says our own warnings in a sentence, without the line of code that they come from."""

    def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        from rich.markup import escape

        from phasescope.console import stderr

        if issubclass(category, PhasescopeWarning):
            stderr().print(f"[bold yellow]Note:[/] {escape(str(message))}", soft_wrap=True)
        else:
            otherwise(message, category, *where, **more)

    return tell


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
