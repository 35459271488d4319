"""How surprisal is shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import COMPARED, SIZE, Answer, Section, Topic
from phasescope.reports.surprisal.section import behaviour_part, sizes_compared
from phasescope.reports.surprisal.sentences import surprisal_finding
from phasescope.reports.surprisal.terminal import surprisal_table

ANSWER = Answer(
    lambda tables: surprisal_table(tables("surprisal")),
    (Section(SIZE, lambda about: [behaviour_part(about)], 40), Section(COMPARED, sizes_compared, 10)),
    (Topic("surprisal", "Surprisal", surprisal_finding, 30, headline=20),),
)
