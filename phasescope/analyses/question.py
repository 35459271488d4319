"""What a question declares of itself: what it asks, the tables that answer it, the options it takes, what it reads.

Everything else asks the registry: which tables there are, the command line, a run's methods, the report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from phasescope.errors import BadArgumentError, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader

    # The second are `Options`, which know of all questions.
    Analyse: TypeAlias = Callable[[RunReader, Any], dict[str, DataFrame]]

OWN = "phasescope"
LAST = 1000
"""The place of what says none: after all that do."""


@dataclass(frozen=True)
class Curve:
    """A column of a table that is behaviour along training: it has phases, and what layers do is laid beside it.

    Attributes:
        value: the column; the table has a column `step` too.
        name: what its curves are called; `{}` stands for what the column `by` says.
        by: the column that tells curves of one size and seed apart; "" where there is one.
        only: values that other columns must have.
        place: among the curves: small ones come first.
    """

    value: str
    name: str
    by: str = ""
    only: tuple[tuple[str, str], ...] = ()
    place: int = LAST

    def named(self, group: Mapping[str, Any]) -> str:
        """The name of the curve of a group of rows."""
        return self.name.format(group.get(self.by, ""))

    def of(self, table: DataFrame) -> DataFrame:
        """The rows that are of such curves."""
        for column, value in self.only:
            table = table[table[column] == value]
        return table


@dataclass(frozen=True)
class Table:
    """A tidy table, as an analysis makes it.

    Attributes:
        name: of its file in `results`.
        about: what a row is, and what is in it.
        columns: of each column the type, as pandas names it: `str`, `int64`, `Int64` (which may be missing), `float64`,
            `bool`.
        units: of each unit the columns that have it, separated by blanks: `{"nats per token": "surprisal entropy"}`.
        curves: which of its columns are behaviour along training.
        method: how a run calls it, if not by its name: `run.effective_rank()` is the table `rank`.
    """

    name: str
    about: str
    columns: Mapping[str, str]
    units: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    curves: tuple[Curve, ...] = ()

    def unit(self, column: str) -> str:
        """The unit of a column; "" where it has none."""
        return next((unit for unit, names in self.units.items() if column in names.split()), "")


@dataclass(frozen=True)
class Option:
    """What a reader may choose of how a question is answered, in Python and on the command line.

    Attributes:
        name: as in `Options(trend_over="step")`; on the command line `--trend-over`, unless `flag` says otherwise.
        help: one sentence, or less.
        default: what is taken otherwise.
        several: whether there may be more than one: a tuple, joined by commas on the command line.
        kind: what one of them is: `str`, `int` or `float`.
        again: of several, whether the flag is given once for each instead.
        shown: what the help says is taken otherwise, where `default` does not say it.
        check: gets what was given, returns what the analysis gets, or raises `PhasescopeError`.
    """

    name: str
    help: str
    default: Any = None
    flag: str = ""
    several: bool = False
    kind: type = str
    again: bool = False
    metavar: str = ""
    shown: str = ""
    check: Callable[[Any], Any] | None = None


BESIDE = Option(
    "beside", "another run to compare with; again for more.", (), flag="--with", several=True, again=True, metavar="RUN"
)
"""Several questions take it."""


@dataclass(frozen=True)
class Question:
    """One research question: what it asks, and what answers it.

    Attributes:
        name: as in `phasescope analyse RUN NAME`.
        asks: the question.
        tables: what `analyse` makes; the first is the main one.
        analyse: from a reader of the run and the options to tables by name.
        reads: what it reads in the run's folder beside shards and cohorts: its tables are stale when one of these
            changes.
        options: what it takes beside resamples, level and seed.
        needs: what has to be captured for it, beside what every capture has, in Markdown.
        version: goes up when its tables mean something else: what an older phasescope kept is then made anew.
        report: the module that has its `ANSWER`: how it is shown; "" where it is not.
        place: among the questions: small ones come first.
        by_training: whether it keeps what it takes from the shards of each training (`phasescope.analyses.parts`), so
            that several may ask it of single trainings at once.
        by_name: whether it takes so long that it is answered only where it is named; once it was, as all others.
        of_curves: whether it reads the curves of all other questions, and so what these read.
        package: which package brings it.
    """

    name: str
    asks: str
    tables: tuple[Table, ...]
    analyse: Analyse
    reads: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    needs: str = ""
    version: int = 1
    report: str = ""
    place: int = LAST
    package: str = OWN
    by_training: bool = False
    by_name: bool = False
    of_curves: bool = False

    def __call__(self, reader: RunReader, options: Any) -> dict[str, DataFrame]:
        """The tables by name."""
        return self.analyse(reader, options)


def question(
    asks: str,
    tables: Sequence[Table],
    *,
    name: str = "",
    reads: Sequence[str] = (),
    options: Sequence[Option] = (),
    needs: str = "",
    version: int = 1,
    report: str | None = None,
    place: int = LAST,
    by_training: bool = False,
    by_name: bool = False,
    of_curves: bool = False,
) -> Callable[[Analyse], Question]:
    """Makes a question of a function `analyse(reader, options) -> tables by name`.

    name: None given: what the module is called.
    report: the module with its `ANSWER`; none given: that of the same name in `reports` beside `analyses`.

    >>> @question("How long is the text?", [Table("length", "one row", {"tokens": "int64"})], name="length")
    ... def LENGTH(reader, options):
    ...     return {"length": ...}
    >>> LENGTH.name
    'length'
    """

    def made(analyse: Analyse) -> Question:
        home = analyse.__module__
        beside = ".reports.".join(home.rsplit(".analyses.", 1)) if ".analyses." in home else ""
        return Question(
            name or home.rpartition(".")[2],
            asks,
            tuple(tables),
            analyse,
            tuple(reads),
            tuple(options),
            needs,
            version,
            beside if report is None else report,
            place,
            home.partition(".")[0],
            by_training,
            by_name,
            of_curves,
        )

    return made


def require_share(what: str, value: float) -> None:
    """Raise `PhasescopeError` for what does not lie between 0 and 1."""
    if not 0 < value < 1:
        raise BadArgumentError(f"{what} must lie between 0 and 1, without either: {value} does not. Try 0.9.")


def one_of(what: str, *known: str) -> Callable[[str | None], str | None]:
    """A check: one of these words, or none; `what` as in `There is no unit 'wrd'`."""

    def check(given: str | None) -> str | None:
        if given is not None and given not in known:
            raise BadArgumentError(f"There is no {what.format(repr(given))}. {did_you_mean(given, known)}")
        return given

    return check
