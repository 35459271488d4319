"""How phases are shown, by themselves and behind other figures."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.phases.bands import phase_legend
from phasescope.reports.phases.lookup import phases_lookup
from phasescope.reports.phases.section import phases_finding, phases_part
from phasescope.reports.phases.terminal import phases_table

ANSWER = Answer(
    phases_table,
    (Section(SIZE, lambda about: [phases_part(about.size, about.tables)], 80),),
    (Topic("phases", "Phases", phases_finding, 130, headline=80),),
    phases_lookup,
    20,
    phase_legend,
)
