"""How benchmarks are shown."""

from __future__ import annotations

from phasescope.reports.evaluations.section import evaluation_parts, evaluations_finding
from phasescope.reports.evaluations.terminal import evaluations_table
from phasescope.reports.kit.answer import ELSEWHERE, Answer, Section, Topic

ANSWER = Answer(
    lambda tables: evaluations_table(tables("evaluations")),
    (Section(ELSEWHERE, lambda about: evaluation_parts(about.run), 10),),
    (Topic("benchmarks", "Benchmarks", evaluations_finding, 120),),
)
