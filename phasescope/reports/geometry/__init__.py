"""How the shape of activations is shown."""

from __future__ import annotations

from phasescope.reports.geometry.section import geometry_finding, geometry_parts
from phasescope.reports.geometry.site_panel import PANEL
from phasescope.reports.geometry.terminal import geometry_table
from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic

ANSWER = Answer(
    lambda tables: geometry_table(tables("geometry")),
    (Section(SIZE, lambda about: geometry_parts(about.size, about.tables), 37),),
    (Topic("geometry", "The shape of activations", geometry_finding, 47),),
    panel=PANEL,
)
