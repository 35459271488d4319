"""What a report has, chapter by chapter, whatever it is written as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from phasescope.reports.comparison import comparison
from phasescope.reports.evaluations import evaluation_parts
from phasescope.reports.in_context_learning import in_context_learning_part
from phasescope.reports.link import overview_part
from phasescope.reports.link_rank import link_rank_part
from phasescope.reports.multiple_choice import multiple_choice_part
from phasescope.reports.noise import noise_part
from phasescope.reports.own.part import own_parts
from phasescope.reports.panels import Panel, Part
from phasescope.reports.phases import Legend, phase_legend
from phasescope.reports.sections import size_parts
from phasescope.reports.seeds import seeds_parts
from phasescope.reports.stages import part_staged
from phasescope.reports.tables import RunLike, Tables
from phasescope.reports.trajectories import trajectory_parts

LAYERS = "layers"
"""The key of the chapter that begins with the picture of layers over phases, of the largest size."""


@dataclass(frozen=True)
class Chapter:
    """All parts about one size, or about all of them.

    `legend`: which phases lie behind the figures, if any do.
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
    seeds = sorted({seed for size in run.sizes for seed in run.seeds(size)})
    found = [
        Chapter(LAYERS, "Layers over behaviour", [overview_part(tables, run.sizes), link_rank_part(tables, run.sizes)])
    ]
    if len(run.sizes) > 1:
        found.append(Chapter("compare", "Sizes compared", [comparison(tables, run.sizes)]))
    for number, size in enumerate(run.sizes):
        mine = tables.of_size(size)
        parts = size_parts(size, mine, seeds, len(run.seeds(size)))
        found.append(Chapter(f"size-{number}", size, parts, phase_legend(mine)))
    asked = [in_context_learning_part(run), noise_part(run), multiple_choice_part(run)]
    found += [
        Chapter("apart", "How far apart models are", seeds_parts(run, tables)),
        Chapter("tokens", "Tokens along training", trajectory_parts(run)),
        Chapter("asked", "What models were asked", asked),
        Chapter("elsewhere", "Measured elsewhere", evaluation_parts(run)),
    ]
    if own:
        found.append(Chapter("own", "Measures of your own", own_parts({name: run.table(name) for name in own})))
    return [_staged(chapter, run) for chapter in found]


def _staged(chapter: Chapter, run: RunLike) -> Chapter:
    """With step axes that are called for what they count, and stages of training."""
    size = chapter.title if chapter.key.startswith("size-") else None
    return replace(chapter, parts=[part_staged(part, run.manifest, size) for part in chapter.parts])


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
        words = [chapter.title if chapter.key.startswith("size-") else chapter.key, part.key]
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
