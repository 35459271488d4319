"""What a report says, before it is written as a page or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from phasescope.console import progress
from phasescope.reports.kit.shown import shown
from phasescope.reports.kit.tables import RunLike, Tables, read_tables
from phasescope.reports.page.chapters import Chapter, chapters
from phasescope.reports.page.findings import Finding, findings


@dataclass(frozen=True)
class Contents:
    """The tables of a run, what is found in them, and the chapters with their figures."""

    tables: Tables
    findings: Sequence[Finding]
    chapters: Sequence[Chapter]


@contextmanager
def writing(run: RunLike, own: Sequence[str] = (), axis: str | None = None) -> Iterator[Contents]:
    """The contents, for whoever writes them inside; shows its progress. own: see `chapters`; axis: `counting_of`."""
    with shown(run, axis) as run, progress(4, "writing the report", "parts") as tracker:
        tracker.doing("tables")
        tables = read_tables(run)
        tracker.advance()
        tracker.doing("findings")
        found = findings(run, tables)
        tracker.advance()
        tracker.doing("figures")
        written = chapters(run, tables, own)
        tracker.advance()
        tracker.doing("page")
        yield Contents(tables, found, written)
        tracker.advance()
