"""How it is shown how large weights are and how far they came."""

from __future__ import annotations

from phasescope.reports.drift.section import drift_finding, drift_parts
from phasescope.reports.drift.site_panel import PANEL
from phasescope.reports.drift.terminal import drift_table
from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic

ANSWER = Answer(
    lambda tables: drift_table(tables("drift"), tables("norms")),
    (Section(SIZE, lambda about: drift_parts(about.size, about.tables), 35),),
    (Topic("drift", "Weights and their way", drift_finding, 45),),
    panel=PANEL,
)
