"""Which questions there are: those of this package, each of which declares itself, and those that are registered."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules

from phasescope.analyses.question import Option, Question, Table
from phasescope.errors import BadArgumentError, did_you_mean

_QUESTIONS: dict[str, Question] = {}
_looked_for = False


def questions() -> dict[str, Question]:
    """Every question by its name, in the order in which they are answered."""
    global _looked_for
    if not _looked_for:
        _looked_for = True  # before, for a question may ask for the others
        for found in _here():
            register(found)
    return dict(sorted(_QUESTIONS.items(), key=lambda item: item[1].place))


def register(asked: Question) -> Question:
    """Adds a question: from now on it is analysed, reported, listed in the help, and a method of runs.

    Returns it. Raises `PhasescopeError` where its name, or that of one of its tables, is taken; the same question again
    is none.
    """
    if asked.package != __name__.partition(".")[0]:
        questions()  # ours come first, so that it is the other that is refused
    known = _QUESTIONS.get(asked.name)
    if known == asked:
        return known
    if known is not None:
        raise BadArgumentError(
            f"There are two analyses {asked.name!r}, of {known.package} and of {asked.package}: call one otherwise."
        )
    for made in asked.tables:
        taken = [other for other in _QUESTIONS.values() if made.name in {table.name for table in other.tables}]
        if taken:
            raise BadArgumentError(
                f"There are two tables {made.name!r}, of {taken[0].name} ({taken[0].package}) and of {asked.name} "
                f"({asked.package}): call one otherwise."
            )
    _QUESTIONS[asked.name] = asked
    return asked


def forget(name: str) -> None:
    """Takes a question away again, if there is one of that name."""
    _QUESTIONS.pop(name, None)


def question_named(name: str) -> Question:
    """The question of that name; `PhasescopeError` with the nearest if there is none."""
    known = questions()
    if name not in known:
        raise BadArgumentError(f"There is no analysis {name!r}. {did_you_mean(name, known)}")
    return known[name]


def tables_there_are() -> dict[str, tuple[Question, Table]]:
    """Every table by its name, with the question that it answers."""
    return {table.name: (asked, table) for asked in questions().values() for table in asked.tables}


def home_of(table: str) -> Question:
    """The question that a table answers; `PhasescopeError` with the nearest table if there is none."""
    known = tables_there_are()
    if table not in known:
        raise BadArgumentError(f"There is no table {table!r}. {did_you_mean(table, known)}")
    return known[table][0]


def options_there_are() -> dict[str, Option]:
    """What questions take beside resamples, level and seed, by name; several may take the same."""
    return {option.name: option for asked in questions().values() for option in asked.options}


def _here() -> Iterator[Question]:
    """What the modules and packages beside this one declare."""
    package = __name__.rpartition(".")[0]
    for found in iter_modules(import_module(package).__path__, f"{package}."):
        declared = vars(import_module(found.name)).values()
        yield from (one for one in declared if isinstance(one, Question) and one.analyse.__module__ == found.name)
