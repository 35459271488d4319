"""How minimal pairs are shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.minimal_pairs.section import minimal_pairs_finding, minimal_pairs_part
from phasescope.reports.minimal_pairs.terminal import minimal_pairs_table

ANSWER = Answer(
    lambda tables: minimal_pairs_table(tables("minimal_pairs")),
    (Section(SIZE, lambda about: [minimal_pairs_part(about.size, about.tables)], 70),),
    (Topic("minimal_pairs", "Minimal pairs", minimal_pairs_finding, 80),),
)
