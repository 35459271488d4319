"""How it is shown what each layer would predict."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.lens.section import lens_parts
from phasescope.reports.lens.sentences import lens_finding
from phasescope.reports.lens.site_panel import PANEL
from phasescope.reports.lens.terminal import lens_view

ANSWER = Answer(
    lens_view,
    (Section(SIZE, lambda about: lens_parts(about.size, about.tables), 38),),
    (Topic("lens", "What layers would predict", lens_finding, 96),),
    panel=PANEL,
)
