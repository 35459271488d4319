"""How local learning coefficients are shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.learning_coefficient.section import coefficient_finding, coefficient_parts
from phasescope.reports.learning_coefficient.site_panel import PANEL
from phasescope.reports.learning_coefficient.terminal import coefficient_table

ANSWER = Answer(
    lambda tables: coefficient_table(tables("learning_coefficient")),
    (Section(SIZE, lambda about: coefficient_parts(about.tables), 39),),
    (Topic("learning_coefficient", "The basin that the weights lie in", coefficient_finding, 49),),
    panel=PANEL,
)
