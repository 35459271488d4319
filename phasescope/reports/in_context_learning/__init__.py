"""How learning in context is shown."""

from __future__ import annotations

from phasescope.reports.in_context_learning.section import in_context_learning_finding, in_context_learning_part
from phasescope.reports.in_context_learning.terminal import in_context_learning_table
from phasescope.reports.kit.answer import ASKED, Answer, Section, Topic

ANSWER = Answer(
    lambda tables: in_context_learning_table(tables("in_context_learning")),
    (Section(ASKED, lambda about: [in_context_learning_part(about.run)], 10),),
    (Topic("context", "Learning in context", in_context_learning_finding, 90),),
)
