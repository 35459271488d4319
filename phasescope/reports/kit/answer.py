"""How the answer of a question is shown: what `reports/<question>` declares, and everything else asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from phasescope.analyses.question import LAST

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from phasescope.reports.kit.panels import Part
    from phasescope.reports.kit.site_panel import SitePanel
    from phasescope.reports.kit.tables import RunLike, Tables

    TablesByName: TypeAlias = Callable[[str], pd.DataFrame]

LAYERS, COMPARED, SIZE, APART, TOKENS, ASKED, ELSEWHERE, MORE = (
    "layers", "compare", "size", "apart", "tokens", "asked", "elsewhere", "more",
)  # fmt: skip
CHAPTERS = {
    LAYERS: "Layers over behaviour",
    COMPARED: "Sizes compared",
    SIZE: "",
    APART: "How far apart models are",
    TOKENS: "Tokens along training",
    ASKED: "What models were asked",
    ELSEWHERE: "Measured elsewhere",
    MORE: "More questions",
}
"""Key and title, in the order of reading; there is one `SIZE` for each size of model, called as it is."""


@dataclass(frozen=True)
class Scope:
    """What a section is about.

    Attributes:
        run: of which the report is.
        tables: all of the run; in a chapter about a size the rows of that size.
        size: that the chapter is about; "" where it is about all.
    """

    run: RunLike
    tables: Tables
    size: str = ""

    @property
    def sizes(self) -> list[str]:
        """All of the run, smallest first."""
        return self.run.sizes

    @property
    def seeds(self) -> list[int]:
        """All of the run, so that each keeps its colour."""
        return sorted({seed for size in self.run.sizes for seed in self.run.seeds(size)})

    @property
    def seeds_here(self) -> int:
        """How many the size has."""
        return len(self.run.seeds(self.size))


@dataclass(frozen=True)
class Section:
    """A question's parts of a chapter.

    Parts of one key are one part: several questions may give it figures, and the first its title.

    Attributes:
        chapter: a key of `CHAPTERS`.
        parts: where there is nothing to show, one that says why, or none.
        place: within the chapter: small ones come first.
    """

    chapter: str
    parts: Callable[[Scope], Iterable[Part]]
    place: int = LAST


@dataclass(frozen=True)
class Topic:
    """What is found, in a sentence for each size.

    Attributes:
        key, title: of the group of sentences.
        tell: gets a size, its tables and how many seeds it has; returns "" where there is nothing to say.
        place: among the topics.
        headline: among the sentences of which the most telling stand above all; None: never there.
    """

    key: str
    title: str
    tell: Callable[[str, Tables, int], str]
    place: int = LAST
    headline: int | None = None


@dataclass(frozen=True)
class Lookup:
    """A table of text that a reader of Markdown would look something up in.

    `about` stands in brackets beside its title, `note` below.
    """

    title: str
    about: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


@dataclass(frozen=True)
class Legend:
    """What lies behind the figures of a size.

    `phases`: the colour of each (any that CSS knows; "" for none) and what it is, with its steps and their intervals.
    """

    text: str
    phases: list[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """How one question's answer is shown.

    Attributes:
        view: in the terminal, given the tables by name.
        sections: in the report.
        topics: in sentences.
        lookups: of a size, in Markdown, beside the figures; `lookups_place` among those of other questions.
        legend: of a size: what lies behind its figures.
        panel: in the explorer.
    """

    view: Callable[[TablesByName], RenderableType]
    sections: tuple[Section, ...] = ()
    topics: tuple[Topic, ...] = ()
    lookups: Callable[[str, Tables], Iterator[Lookup]] | None = None
    lookups_place: int = LAST
    legend: Callable[[Tables], Legend | None] | None = None
    panel: SitePanel | None = None
