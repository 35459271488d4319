"""What was found, in sentences computed from the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phasescope.reports.answers import answers
from phasescope.reports.kit.answer import Topic
from phasescope.reports.kit.tables import RunLike, Tables, read_tables


@dataclass(frozen=True)
class Finding:
    """One sentence about one size.

    `topic`: what it is about, as each question's `ANSWER` names its topics, those of other packages too.
    """

    topic: str
    size: str
    sentence: str


def findings(run: RunLike, tables: Tables | None = None) -> list[Finding]:
    """All that can be said of a run: topic by topic, and for each topic size by size, smallest first.

    What was not measured, or has only one step, is passed over. Brackets are the range over seeds; of a single seed
    the bootstrap interval.
    """
    tables = tables or read_tables(run)
    return [
        Finding(topic.key, size, sentence)
        for topic in _topics()
        for size in run.sizes
        if (sentence := topic.tell(size, tables.of_size(size), len(run.seeds(size))))
    ]


def by_topic(found: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Titles of topics and their sentences, in the order of reading."""
    groups = [(topic.title, [f.sentence for f in found if f.topic == topic.key]) for topic in _topics()]
    return [(title, sentences) for title, sentences in groups if sentences]


def headline(run: RunLike, tables: Tables | None = None, at_most: int = 3) -> list[str]:
    """The most telling sentences, one per topic, about the largest size that has each."""
    return telling(findings(run, tables), at_most)


def telling(found: Sequence[Finding], at_most: int = 3) -> list[str]:
    """Of all findings the most telling sentences, as `headline` gives them."""
    largest = {finding.topic: finding.sentence for finding in found}
    order = sorted((topic.headline, topic.key) for topic in _topics() if topic.headline is not None)
    return [largest[key] for _, key in order if key in largest][:at_most]


def _topics() -> list[Topic]:
    found = [topic for answer in answers().values() for topic in answer.topics]
    return sorted(found, key=lambda topic: topic.place)
