"""How convergence and settling are shown."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.reports.convergence.depth_section import depths_compared
from phasescope.reports.convergence.lookup import settling_lookup
from phasescope.reports.convergence.section import convergence_part, heads_parts
from phasescope.reports.convergence.sentences import settling_finding
from phasescope.reports.convergence.settling_section import settling_part
from phasescope.reports.convergence.site_panel import PANEL
from phasescope.reports.convergence.terminal import settling_table
from phasescope.reports.kit.answer import COMPARED, SIZE, Answer, Scope, Section, Topic
from phasescope.reports.kit.attending import attending_of
from phasescope.reports.kit.panels import Part


def _of_size(about: Scope) -> Iterator[Part]:
    told = attending_of(about.run, about.size)
    yield convergence_part(about.size, about.tables, told)
    yield from heads_parts(about.size, about.tables, told)
    yield settling_part(about.size, about.tables, about.seeds)


ANSWER = Answer(
    lambda tables: settling_table(tables("settling"), tables("convergence")),
    (Section(SIZE, _of_size, 10), Section(COMPARED, depths_compared, 40)),
    (Topic("settling", "Settling", settling_finding, 10, headline=10),),
    settling_lookup,
    10,
    panel=PANEL,
)
