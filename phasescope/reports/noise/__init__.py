"""How corrupted and made-up text is shown."""

from __future__ import annotations

from phasescope.reports.kit.answer import ASKED, Answer, Section, Topic
from phasescope.reports.noise.section import noise_finding, noise_part
from phasescope.reports.noise.terminal import noise_table

ANSWER = Answer(
    lambda tables: noise_table(tables("noise")),
    (Section(ASKED, lambda about: [noise_part(about.run)], 20),),
    (Topic("noise", "Corrupted text", noise_finding, 100),),
)
