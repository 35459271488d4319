"""How probes are shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.probing.section import probing_parts
from phasescope.reports.probing.sentences import probing_finding
from phasescope.reports.probing.site_panel import PANEL
from phasescope.reports.probing.terminal import probing_table

ANSWER = Answer(
    probing_table,
    (Section(SIZE, lambda about: probing_parts(about.tables), 38),),
    (Topic("probing", "What can be read off activations", probing_finding, 48),),
    panel=PANEL,
)
