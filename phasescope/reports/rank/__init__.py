"""How effective rank is shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.rank.section import rank_part
from phasescope.reports.rank.sentences import rank_finding
from phasescope.reports.rank.site_panel import PANEL
from phasescope.reports.rank.terminal import rank_table

ANSWER = Answer(
    lambda tables: rank_table(tables("rank")),
    (Section(SIZE, lambda about: [rank_part(about.size, about.tables)], 20),),
    (Topic("rank", "Rank", rank_finding, 60, headline=60),),
    panel=PANEL,
)
