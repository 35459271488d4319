"""How it is shown how alike models are."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.reports.agreement.section import agreement_panel
from phasescope.reports.agreement.terminal import agreement_table
from phasescope.reports.kit.answer import COMPARED, Answer, Scope, Section
from phasescope.reports.kit.compared import compared
from phasescope.reports.kit.panels import Part


def _compared(about: Scope) -> Iterator[Part]:
    if panel := agreement_panel(about.tables, about.sizes):
        yield from compared([panel])


ANSWER = Answer(lambda tables: agreement_table(tables("agreement")), (Section(COMPARED, _compared, 30),))
