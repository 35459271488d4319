"""The report as Markdown: what was found, the tables that stand behind it, and links to figures."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.reports.answers import answers
from phasescope.reports.kit.tables import RunLike, Tables
from phasescope.reports.page import methods
from phasescope.reports.page.chapters import Chapter, file_names
from phasescope.reports.page.contents import Contents, writing
from phasescope.reports.page.findings import by_topic
from phasescope.reports.page.writing import write_whole

if TYPE_CHECKING:
    from phasescope.reports.kit.panels import Panel


def write_markdown(
    run: RunLike, path: str | Path, figures: Sequence[Path] = (), own: Sequence[str] = (), axis: str | None = None
) -> Path:
    """Write the report of a run as Markdown to `path`, whole or not at all, and return the path.

    Args:
        figures: files that `write_figures` made of the same run; each is linked where it belongs.
        own: which measures of the user's own have a chapter, by the names of their tables.
        axis: what is counted: `tokens`, or what the run counts.

    Raises:
        PhasescopeError: the file cannot be written.
    """
    path = Path(path)
    text = markdown(run, {file.stem: _relative(file, path.parent) for file in figures}, own, axis)
    write_whole(path, text, run.path)
    return path


def markdown(run: RunLike, links: dict[str, str], own: Sequence[str] = (), axis: str | None = None) -> str:
    """The report as text; `links`: where the file of a figure is, by its name without suffix."""
    with writing(run, own, axis) as contents:
        return _text(run, contents, links)


def _text(run: RunLike, contents: Contents, links: dict[str, str]) -> str:
    tables, written = contents.tables, contents.chapters
    names = file_names(written)
    blocks = [f"# {plain(run.manifest.get('family') or 'unnamed suite')}", "## Overview"]
    blocks += [_table(("", ""), methods.overview_facts(run)), plain(methods.inputs_sentence(run))]
    if suspect := methods.audit_sentences(run)[0]:
        blocks.append(plain(f"Not all checkpoints are what their names say. {' '.join(suspect)}"))
    blocks.append(plain(methods.bad_sentence(run.manifest)))
    for title, sentences in by_topic(contents.findings):
        blocks += [f"### {title}", "\n".join(f"- {plain(sentence)}" for sentence in sentences)]
    for chapter in written:
        blocks += _chapter(chapter, names, links)
        if chapter.key.startswith("size-"):
            blocks += _lookups(chapter.title, tables.of_size(chapter.title))
    blocks.append("## What was probed, and how")
    for table in methods.method_tables(run):
        header = table.header or [""] * max(len(row) for row in table.rows)
        blocks += [f"**{plain(table.title)}**", _table(header, table.rows)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def plain(text: object) -> str:
    """Text in which nothing is markup: names of sizes and files come from outside."""
    return re.sub(r"([\\`*\[\]<>|#])", r"\\\1", " ".join(str(text).split()))


def _chapter(chapter: Chapter, names: dict[int, str], links: dict[str, str]) -> Iterator[str]:
    yield f"## {plain(chapter.title)}"
    for part in chapter.parts:
        if part.title != chapter.title:
            yield f"### {plain(part.title)}"
        yield plain(part.intro)
        for panel in (*part.panels, *part.folded):
            yield _figure(panel, links.get(names[id(panel)], ""))
        yield from (plain(note) for note in part.notes)


def _figure(panel: Panel, link: str) -> str:
    picture = f"![{plain(panel.title)}]({link})\n\n" if link else ""
    return f"{picture}**{plain(panel.title)}.** {plain(panel.caption)} From {plain(panel.sources)}."


def _lookups(size: str, tables: Tables) -> Iterator[str]:
    """What a reader would look up."""
    shown = sorted((answer for answer in answers().values() if answer.lookups), key=lambda one: one.lookups_place)
    for found in (lookup for answer in shown if answer.lookups for lookup in answer.lookups(size, tables)):
        yield f"**{plain(found.title)}** ({plain(found.about)})"
        yield _table(found.header, found.rows)
        yield plain(found.note)


def _table(header: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header)]
    cells = [[str(cell) if line is lines[1] else plain(cell) for cell in line] for line in lines]
    cells += [[plain(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def _relative(file: Path, folder: Path) -> str:
    """As a link: relative where it can be, so that the folder can be moved."""
    return Path(os.path.relpath(file, folder)).as_posix().replace(" ", "%20")
