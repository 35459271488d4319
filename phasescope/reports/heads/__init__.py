"""How it is shown what heads look at."""

from __future__ import annotations

from phasescope.reports.heads.section import heads_part
from phasescope.reports.heads.sentences import induction_finding
from phasescope.reports.heads.site_panel import PANEL
from phasescope.reports.heads.terminal import heads_view
from phasescope.reports.kit.answer import ASKED, Answer, Section, Topic

ANSWER = Answer(
    heads_view,
    (Section(ASKED, lambda about: [heads_part(about.run)], 5),),
    (Topic("induction", "Induction heads", induction_finding, 95, headline=85),),
    panel=PANEL,
)
