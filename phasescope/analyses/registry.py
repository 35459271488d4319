"""Which questions there are: those of this package, each of which declares itself, and those that are registered."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pkgutil import iter_modules

from phasescope.analyses.question import OWN, Curve, Option, Question, Table
from phasescope.errors import BadArgumentError, PhasescopeWarning, did_you_mean
from phasescope.plugins.offered import Offered, offered
from phasescope.plugins.offered import forget as forget_packages

GROUP = "phasescope.analyses"
_QUESTIONS: dict[str, Question] = {}
_looked_for = False


def questions() -> dict[str, Question]:
    """Every question by its name, in the order in which they are answered: ours, those of packages, those registered.

    What a package offers under the entry point `phasescope.analyses` and cannot be used is named in a warning and
    passed over.
    """
    global _looked_for
    if not _looked_for:
        _looked_for = True  # before, for a question may ask for the others
        for asked in _here():
            register(asked)
        for one in offered(GROUP, Question):
            _take_in(one)
    return dict(sorted(_QUESTIONS.items(), key=lambda item: item[1].place))


def offered_questions() -> list[Offered]:
    """What packages offer by entry points of the group `phasescope.analyses`."""
    questions()  # first: while a package is loaded, its decorator asks for them, which would load it once more
    return offered(GROUP, Question)


def register(asked: Question) -> Question:
    """Adds a question: from now on it is analysed, reported, listed in the help, and a method of runs.

    Returns it. Raises `PhasescopeError` where its name, or that of one of its tables, is taken; the same question again
    is none.
    """
    if asked.package != OWN:
        questions()  # ours come first, so that it is the other that is refused
    if _QUESTIONS.get(asked.name) == asked:
        return asked
    for known in _QUESTIONS.values():
        tables = {table.name for table in known.tables} & {table.name for table in asked.tables}
        both = "analyses" if known.name == asked.name else "tables" if tables else ""
        if both:
            name = asked.name if both == "analyses" else min(tables)
            raise BadArgumentError(
                f"There are two {both} {name!r}, of {known.name} ({known.package}) and of {asked.name} "
                f"({asked.package}): call one otherwise."
            )
    _QUESTIONS[asked.name] = asked
    return asked


def forget() -> None:
    """Look for all questions anew: a package was installed since, or is gone."""
    global _looked_for
    forget_packages()
    _QUESTIONS.clear()
    _looked_for = False


def drop(name: str) -> None:
    """Take a question away again, if there is one of that name."""
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


def curves_there_are() -> list[tuple[str, Curve]]:
    """Every curve of behaviour, with the name of its table, in order."""
    found = [(name, curve) for name, (_, table) in tables_there_are().items() for curve in table.curves]
    return sorted(found, key=lambda item: item[1].place)


def methods_there_are() -> dict[str, Table]:
    """What runs answer by a method, by the method's name: the main table of each question, and what else says so."""
    every = [(table, table is asked.tables[0]) for asked in questions().values() for table in asked.tables]
    return {table.method or table.name: table for table, main in every if main or table.method}


def _here() -> Iterator[Question]:
    """What the modules and packages beside this one declare; measures of one's own (`own`) declare none."""
    package = __name__.rpartition(".")[0]
    for found in iter_modules(import_module(package).__path__, f"{package}."):
        if found.name == f"{package}.own":  # and take long to load
            continue
        declared = vars(import_module(found.name)).values()
        yield from (one for one in declared if isinstance(one, Question) and one.analyse.__module__ == found.name)


def _take_in(one: Offered) -> None:
    """Register what a package offers; what cannot be is named in a warning and passed over."""
    if _QUESTIONS.get(one.thing.name) == one.thing:
        drop(one.thing.name)  # its decorator made it known, without the package's name
    try:
        register(replace(one.thing, package=one.package))
    except BadArgumentError as error:
        warnings.warn(f"An analysis of {one.package} is passed over: {error}", PhasescopeWarning, stacklevel=3)
