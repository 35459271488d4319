"""The application that the commands belong to: how they are called, how they explain themselves, how they fail."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import Parameter
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from phasescope.console import ProgressStyle, show_progress, stderr
from phasescope.errors import BadArgumentError, PhasescopeError, PhasescopeWarning


class Command(TyperCommand):
    """A command whose example stays on one line, to be copied."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        formatter.write(f"\n  {self.epilog}\n")


class _Commands(TyperGroup):
    """Turns what users can put right into one sentence and exit status 1, or 2 for what no run or suite could have."""

    def invoke(self, ctx: Any) -> Any:
        from rich.markup import escape

        from phasescope.errors import NO_SPACE
        from phasescope.stopping import stoppable

        status = 1
        with stoppable(), warnings.catch_warnings():
            warnings.showwarning = _told(warnings.showwarning)
            try:
                done = super().invoke(ctx)
                sys.stdout.flush()  # here, and not when Python has nobody left to tell that it cannot
                return done
            except PhasescopeError as error:
                _say(f"[bold red]Error:[/] {escape(str(error))}")
                status = 2 if isinstance(error, BadArgumentError) else 1
            except KeyboardInterrupt:
                _say("Stopped. Nothing captured is lost: run the same command again to go on.")
            except FileNotFoundError as error:
                if not error.filename:
                    raise
                gone = escape(str(error.filename))
                _say(f"[bold red]Error:[/] {gone} is not there. If it was deleted or moved meanwhile, put it back.")
            except OSError as error:
                if error.errno not in NO_SPACE:
                    raise
                place = error.filename or "where the output goes"
                _say(f"[bold red]Error:[/] There is no space left, {escape(str(place))}. Free some and run it again.")
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python tries once more at its end
            finally:
                show_progress(None)
        raise typer.Exit(status)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """With all parameters, of which some are looked for only now."""
        return _GROWN[cmd_name]() if cmd_name in _GROWN else super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Whole first sentences, where Typer would cut them."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(command.help or "")) for name, command in commands if command])


def _say(what: str) -> None:
    with suppress(OSError):  # the terminal may be closed
        stderr().print(what, soft_wrap=True)


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).partition(". ")[0].removesuffix(".") + "."


def _told(otherwise: Callable[..., None]) -> Callable[..., None]:
    """Says our own warnings in a sentence, without the line of code that they come from."""

    def tell(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        from rich.markup import escape

        if issubclass(category, PhasescopeWarning):
            _say(f"[yellow]Note:[/] {escape(str(message))}")
        else:
            otherwise(message, category, *where, **more)

    return tell


_Progress = Annotated[
    ProgressStyle,
    typer.Option(
        "--progress",
        help="Progress on stderr: auto (a bar in a terminal, else lines), bar, lines (every 30 s, for logs) or none.",
        metavar="HOW",
    ),
]
_HELPED: dict[str, Any] = {"context_settings": {"help_option_names": ["-h", "--help"]}}
app = typer.Typer(
    cls=_Commands,
    help="See when, where and why a language model settles: probe every checkpoint of a training run.",
    epilog="Start with: phasescope demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Plain help: Typer's panels cut names that are wider than a column, and fold what is piped.
    rich_markup_mode=None,
    **_HELPED,
)


_GROWN: dict[str, Callable[[], Any]] = {}
"""Commands whose parameters are looked for when they are asked for: what makes them, by name."""


def command(
    example: str, *, name: str | None = None, long: bool = False, more: Callable[[], Sequence[Parameter]] | None = None
) -> Callable[[Any], Any]:
    """Add a function as a command.

    long: whether it may take minutes, and so has `--progress`.
    more: parameters that it has beside its own, looked for when the command is called or explained: the function takes
        them as `**own`.
    """

    def add(function: Callable[..., None]) -> Callable[..., None]:
        how: dict[str, Any] = {"cls": Command, "epilog": f"Example: phasescope {example}"}
        shown = _with_progress(function) if long else function
        app.command(name, **how)(shown)
        if more:
            called = name or function.__name__
            _GROWN[called] = lambda: _command_of(_with(shown, more()), called, how)
        return function

    return add


def _command_of(function: Callable[..., None], name: str, how: dict[str, Any]) -> Any:
    """A command by itself, as the application would make it."""
    alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, **_HELPED)
    alone.command(name, **how)(function)
    return typer.main.get_command(alone)


def _with_progress(function: Callable[..., None]) -> Callable[..., None]:
    """The same with one option more, which it does not see."""

    @functools.wraps(function)
    def shown(*, progress: ProgressStyle, **arguments: Any) -> None:
        show_progress(progress)
        function(**arguments)

    more = Parameter("progress", Parameter.KEYWORD_ONLY, default="auto", annotation=_Progress)
    return _with(shown, [more])


def _with(function: Callable[..., None], more: Sequence[Parameter]) -> Callable[..., None]:
    """The same with more parameters, of which Typer makes options; what it takes as `**own` is none."""

    @functools.wraps(function)
    def shown(**arguments: Any) -> None:
        function(**arguments)

    own = inspect.signature(function, eval_str=True).parameters.values()
    every = [*(one for one in own if one.kind is not Parameter.VAR_KEYWORD), *more]
    shown.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    shown.__annotations__ = {one.name: one.annotation for one in every}
    return shown


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from phasescope import __version__

        print(f"phasescope {__version__}")
        raise typer.Exit
