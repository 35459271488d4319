"""How it is shown what layers have to do with behaviour."""

from __future__ import annotations

from phasescope.reports.kit.answer import LAYERS, SIZE, Answer, Section, Topic
from phasescope.reports.link.fifth_sentence import fifth_finding
from phasescope.reports.link.rank_section import link_rank_part
from phasescope.reports.link.section import link_finding, link_part, overview_part
from phasescope.reports.link.terminal import link_view

ANSWER = Answer(
    link_view,
    (
        Section(LAYERS, lambda about: [overview_part(about.tables, about.sizes)], 10),
        Section(LAYERS, lambda about: [link_rank_part(about.tables, about.sizes)], 20),
        Section(SIZE, lambda about: [link_part(about.size, about.tables)], 90),
    ),
    (
        Topic("fifth", "The first fifth of training", fifth_finding, 20, headline=50),
        Topic("link", "Layers and behaviour", link_finding, 140, headline=90),
    ),
)
