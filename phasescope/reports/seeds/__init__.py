"""How it is shown how far apart models are."""

from __future__ import annotations

from phasescope.reports.kit.answer import APART, COMPARED, SIZE, Answer, Section, Topic
from phasescope.reports.seeds.kl_section import behaviour_part, sizes_compared
from phasescope.reports.seeds.kl_terminal import seeds_table
from phasescope.reports.seeds.section import seeds_parts
from phasescope.reports.seeds.sentences import seeds_finding, unigram_finding
from phasescope.reports.seeds.terminal import seeds_view

ANSWER = Answer(
    lambda tables: seeds_view(seeds_table(tables("seeds")), tables),
    (
        Section(SIZE, lambda about: [behaviour_part(about)], 50),
        Section(COMPARED, sizes_compared, 20),
        Section(APART, lambda about: seeds_parts(about.run, about.tables), 10),
    ),
    (
        Topic("seeds", "Seeds", seeds_finding, 40, headline=30),
        Topic("unigram", "The unigram", unigram_finding, 50, headline=40),
    ),
)
