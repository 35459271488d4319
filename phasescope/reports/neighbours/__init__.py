"""How it is shown whether tokens keep their nearest neighbours."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.neighbours.section import neighbours_finding, neighbours_parts
from phasescope.reports.neighbours.terminal import neighbours_table

ANSWER = Answer(
    lambda tables: neighbours_table(tables("neighbours")),
    (Section(SIZE, lambda about: neighbours_parts(about.size, about.tables), 39),),
    (Topic("neighbours", "Nearest neighbours", neighbours_finding, 48),),
)
