"""How questions with options are shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import ASKED, Answer, Section, Topic
from phasescope.reports.multiple_choice.section import multiple_choice_finding, multiple_choice_part
from phasescope.reports.multiple_choice.terminal import multiple_choice_table

ANSWER = Answer(
    lambda tables: multiple_choice_table(tables("multiple_choice")),
    (Section(ASKED, lambda about: [multiple_choice_part(about.run)], 30),),
    (Topic("questions", "Questions with options", multiple_choice_finding, 110),),
)
