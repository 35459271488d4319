"""Result tables: made by the questions' analyses, kept in the run, and made anew when what they stand on changed."""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.analyses.ahead import take_ahead
from phasescope.analyses.options import Options
from phasescope.analyses.registry import home_of, question_named, questions, tables_there_are
from phasescope.console import progress
from phasescope.errors import MissingLibraryError, PhasescopeError, PhasescopeWarning
from phasescope.store import read_table, write_table
from phasescope.suites.device import threads_for
from phasescope.workers import ALONE, Workforce

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.question import Question
    from phasescope.analyses.reader import RunReader


def analyse(
    reader: RunReader,
    names: Sequence[str] = (),
    options: Options | None = None,
    *,
    csv: bool = False,
    workers: Workforce = ALONE,
) -> dict[str, DataFrame]:
    """Answer the named questions, write their tables to `results/`, return them by table name.

    names: none: all but those that take long and were never named.
    workers: who reads shards, for those questions that keep what they take from them.
    Where all are asked for, those that need a library which is not installed are left out, with a warning.
    """
    workers.require()
    reader.keep_findings()
    unnamed = (name for name, asked in questions().items() if is_asked(reader, asked))
    wanted = {name: question_named(name) for name in names or unnamed}
    chosen = options or Options()
    if not workers.alone:
        take_ahead(reader, wanted, chosen, workers)
    made: dict[str, DataFrame] = {}
    with progress(len(wanted), "analysing", "analyses") as tracker:
        for name, asked in wanted.items():
            tracker.doing(f"analysing {name}")
            try:
                made |= _make(reader, asked, chosen, csv=csv)
            except MissingLibraryError as error:
                if names:
                    raise
                warnings.warn(f"The analysis {name} is left out: {error}", PhasescopeWarning, stacklevel=2)
            tracker.advance()
    return made


def table(reader: RunReader, name: str, options: Options | None = None) -> DataFrame:
    """A result table by its name: kept if it was made of what is there now, else made with `options`.

    This is how one analysis reads what another found. A table that was computed with options of the user's own is
    kept, whatever `options` are. Raises `PhasescopeError` where there is no such table, with the nearest.
    """
    known = kept_table(reader, name)
    return _make(reader, home_of(name), options or Options())[name] if known is None else known


def table_if_asked(reader: RunReader, name: str, options: Options | None = None) -> DataFrame:
    """The same for who looks at many tables: raises `PhasescopeError` where it takes long and was never asked for."""
    asked = home_of(name)
    if not is_asked(reader, asked):
        raise PhasescopeError(f"Nobody asked yet: phasescope analyse {reader.folder.path} {asked.name}")
    return table(reader, name, options)


def is_asked(reader: RunReader, asked: Question) -> bool:
    """Whether a question is answered without being named: of those that take long, those that were named before."""
    return not asked.by_name or reader.folder.result(asked.tables[0].name).is_file()


def stands_on(reader: RunReader, asked: Question) -> str:
    """The state of everything that a question reads; of those that read all curves, also which questions give some."""
    if not asked.of_curves:
        return reader.fingerprint(asked.reads)
    giving = {home.name: home for home, table in tables_there_are().values() if table.curves and is_asked(reader, home)}
    reads = sorted({*asked.reads, *(file for home in giving.values() for file in home.reads)})
    return f"{reader.fingerprint(reads)} {','.join(giving)}"


def kept_table(reader: RunReader, name: str) -> DataFrame | None:
    """A result table if it was made of what is there now; else None, and nothing is computed."""
    path = reader.folder.result(name)
    if not path.is_file():
        return None
    kept = read_table(path)
    current = as_made_now(name, kept) and kept.attrs.get("made_from") == stands_on(reader, home_of(name))
    return kept if current else None


def as_made_now(name: str, kept: DataFrame) -> bool:
    """Whether a table that was kept has the columns that this phasescope gives it."""
    return bool(kept.attrs.get("version", 1) == home_of(name).version)


def _make(reader: RunReader, asked: Question, options: Options, *, csv: bool = False) -> dict[str, DataFrame]:
    reader.require_whole()
    reader.folder.require_writable()
    with threads_for(reader.inputs.sampled):
        tables = asked.analyse(reader, options)
    reader.require_there()
    # Kept in the files, so that a table made of other shards or options is known to be stale.
    origin: dict[Hashable | None, Any] = {
        "made_from": stands_on(reader, asked),
        "options": repr(options),
        "version": asked.version,
        **({"suspect": reader.suspects_note} if reader.suspects else {}),
    }
    for name, made in tables.items():
        made.attrs |= origin
        write_table(reader.folder.result(name), made, csv=csv)
    return tables
