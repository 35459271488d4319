"""How the use of experts is shown."""

from __future__ import annotations

from phasescope.reports.experts.section import experts_finding, experts_parts
from phasescope.reports.experts.terminal import experts_view
from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic

ANSWER = Answer(
    experts_view,
    (Section(SIZE, lambda about: experts_parts(about.size, about.tables), 35),),
    (Topic("experts", "Experts", experts_finding, 45),),
)
