"""What the questions make of the command that answers them: their names, and the options that they take."""

from __future__ import annotations

from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from phasescope.cli.options import fractions_in, names_in

if TYPE_CHECKING:
    from phasescope.analyses import Option


def parameters() -> list[Parameter]:
    """The names of questions as an argument, and an option for each that any of them takes."""
    from phasescope.analyses import questions
    from phasescope.analyses.registry import options_there_are

    long = [name for name, asked in questions().items() if asked.by_name]
    usual = f"all but {' and '.join(long)}, which take long" if long else "all"
    names = typer.Argument(help=f"{', '.join(questions())}.", metavar="[NAME ...]", show_default=usual)
    options = [_option(option) for option in options_there_are().values()]
    return [_parameter("names", Annotated[list[str] | None, names], None), *options]


def chosen(given: dict[str, Any]) -> dict[str, Any]:
    """What was given on the command line, as `Options` takes it."""
    from phasescope.analyses.registry import options_there_are

    known = options_there_are()
    return {name: _read(known[name], value) for name, value in given.items() if value is not None}


def _option(option: Option) -> Parameter:
    shown = typer.Option(
        _flag(option),
        help=f"{', '.join(_takers(option))}: {option.help}",
        metavar=option.metavar or None,
        show_default=option.shown or True,
    )
    if option.several and option.again:
        return _parameter(option.name, Annotated[list[str] | None, shown], None)
    if option.several:
        return _parameter(option.name, Annotated[str | None, shown], ",".join(map(str, option.default)) or None)
    return _parameter(option.name, Annotated[option.kind | None, shown], option.default)


def _parameter(name: str, annotation: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _flag(option: Option) -> str:
    return option.flag or f"--{option.name.replace('_', '-')}"


def _takers(option: Option) -> list[str]:
    from phasescope.analyses import questions

    return [name for name, asked in questions().items() if option in asked.options]


def _read(option: Option, value: Any) -> Any:
    if not option.several:
        return option.kind(value)
    if option.again:
        return tuple(map(option.kind, value))
    return tuple(fractions_in(value, _flag(option)) if option.kind is float else names_in(value))
