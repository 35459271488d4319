"""How similarity is shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import SIZE, Answer, Section, Topic
from phasescope.reports.similarity.section import similarity_parts
from phasescope.reports.similarity.sentences import similarity_finding
from phasescope.reports.similarity.site_panel import PANEL
from phasescope.reports.similarity.terminal import similarity_view

ANSWER = Answer(
    lambda tables: similarity_view(tables("similarity_means"), tables("similarity_maps"), tables("similarity")),
    (Section(SIZE, lambda about: similarity_parts(about.size, about.tables), 36),),
    (Topic("similarity", "Similarity of layers", similarity_finding, 46),),
    panel=PANEL,
)
