"""How the trends of tokens are shown, and sizes at the same perplexity."""

from __future__ import annotations

from phasescope.reports.kit.answer import TOKENS, Answer, Section
from phasescope.reports.trajectories.section import trajectory_parts
from phasescope.reports.trajectories.terminal import trajectories_view

ANSWER = Answer(trajectories_view, (Section(TOKENS, lambda about: trajectory_parts(about.run), 10),))
