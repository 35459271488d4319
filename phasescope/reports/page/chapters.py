"""What a report has, chapter by chapter, whatever it is written as."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from phasescope.reports.answers import answers
from phasescope.reports.kit.answer import CHAPTERS, COMPARED, SIZE, Legend, Scope
from phasescope.reports.kit.compared import nothing_compared
from phasescope.reports.kit.gaps import Gap, gaps
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.kit.stages import part_staged
from phasescope.reports.kit.tables import RunLike, Tables
from phasescope.reports.own.section import own_parts


@dataclass(frozen=True)
class Chapter:
    """All parts about one size, or about all of them.

    `legend`: what lies behind the figures, if anything does.
    """

    key: str
    title: str
    parts: Sequence[Part]
    legend: Legend | None = None


def chapters(run: RunLike, tables: Tables, own: Sequence[str] = ()) -> list[Chapter]:
    """Every chapter of a run that has a checkpoint, in the order of reading; none of a run that has none.

    own: which measures of the user's own have a chapter, by the names of their tables.
    """
    if not run.sizes:
        return []
    found: list[Chapter] = []
    for key, title in CHAPTERS.items():
        if key == SIZE:
            found += [_of_size(number, Scope(run, tables.of_size(size), size)) for number, size in enumerate(run.sizes)]
        elif key != COMPARED or len(run.sizes) > 1:
            parts = _parts(key, Scope(run, tables))
            if key == COMPARED:
                parts = parts or [nothing_compared()]
            found += [Chapter(key, title, parts)] if parts else []
    if own:
        found.append(Chapter("own", "Measures of your own", own_parts({name: run.table(name) for name in own})))
    out = functools.cache(functools.partial(gaps, getattr(run, "reader", None)))
    return [_staged(chapter, run, out) for chapter in found]


def _of_size(number: int, scope: Scope) -> Chapter:
    legends = (answer.legend(scope.tables) for answer in answers().values() if answer.legend)
    legend = next((legend for legend in legends if legend), None)
    return Chapter(f"{SIZE}-{number}", scope.size, _parts(SIZE, scope), legend)


def _parts(chapter: str, scope: Scope) -> list[Part]:
    """What the questions have to show in a chapter."""
    sections = [section for answer in answers().values() for section in answer.sections if section.chapter == chapter]
    sections.sort(key=lambda section: section.place)
    return _joined(part for section in sections for part in section.parts(scope))


def _joined(parts: Iterable[Part]) -> list[Part]:
    """Parts of one key as one: the first gives its title, all give figures, notes and controls."""
    found: dict[str, Part] = {}
    for part in parts:
        first = found.get(part.key)
        found[part.key] = part if first is None else replace(
            first,
            panels=[*first.panels, *part.panels],
            folded=[*first.folded, *part.folded],
            folded_title=first.folded_title or part.folded_title,
            notes=[*first.notes, *part.notes],
            controls=list({control.name: control for control in (*first.controls, *part.controls)}.values()),
        )  # fmt: skip
    return list(found.values())


def _staged(chapter: Chapter, run: RunLike, left_out: Callable[[str | None], Sequence[Gap]]) -> Chapter:
    """With step axes that are called for what they count, stages of training, and marks where something is left out."""
    size = chapter.title if chapter.key.startswith(f"{SIZE}-") else None
    return replace(chapter, parts=[part_staged(part, run.manifest, size, left_out) for part in chapter.parts])


def panels_of(chapters: Sequence[Chapter]) -> Iterator[tuple[Chapter, Part, Panel]]:
    """Every figure, with where it stands; what is folded away comes after what is not."""
    for chapter in chapters:
        for part in chapter.parts:
            for panel in (*part.panels, *part.folded):
                yield chapter, part, panel


def file_names(chapters: Sequence[Chapter]) -> dict[int, str]:
    """A name for the file of each figure that tells what it shows, by the panel's `id`; no two are the same.

    Size, part and title in lower case: `410m-settling-mlp_out`.
    """
    names: dict[int, str] = {}
    taken: set[str] = set()
    for chapter, part, panel in panels_of(chapters):
        words = [chapter.title if chapter.key.startswith(f"{SIZE}-") else chapter.key, part.key]
        words.append(panel.title.removeprefix(f"{part.key.capitalize()} of "))
        name = "-".join(dict.fromkeys(slug for word in words if (slug := _slug(word)))) or "figure"
        number, unique = 1, name
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        taken.add(unique)
        names[id(panel)] = unique
    return names


def _slug(text: str) -> str:
    """Letters, digits and underscores of ASCII, joined by hyphens: a name that every file system takes."""
    return re.sub(r"[^a-z0-9_.]+", "-", text.lower()).strip("-.")[:60]
