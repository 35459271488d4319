"""How gradients are shown."""

from __future__ import annotations

from phasescope.reports.gradients.section import gradients_parts
from phasescope.reports.gradients.terminal import gradients_table
from phasescope.reports.kit.answer import SIZE, Answer, Section

ANSWER = Answer(
    lambda tables: gradients_table(tables("gradients")),
    (Section(SIZE, lambda about: gradients_parts(about.size, about.tables, about.seeds), 30),),
)
