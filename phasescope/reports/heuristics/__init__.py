"""How it is shown what heuristics explain."""

from __future__ import annotations

from phasescope.reports.heuristics.lookup import peaks_lookup
from phasescope.reports.heuristics.section import heuristics_finding, heuristics_part
from phasescope.reports.heuristics.terminal import heuristics_table
from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic

ANSWER = Answer(
    lambda tables: heuristics_table(tables("heuristics"), tables("heuristic_peaks"), tables("heuristic_fit")),
    (Section(SIZE, lambda about: [heuristics_part(about.size, about.tables)], 60),),
    (Topic("heuristics", "Heuristics", heuristics_finding, 70, headline=70),),
    peaks_lookup,
    30,
)
