"""The parts of a report about what models do with the text."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.reports.kit.answer import Scope
from phasescope.reports.kit.compared import compared, trajectories
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.phases.bands import with_bands
from phasescope.reports.surprisal import captions
from phasescope.reports.surprisal.absent import no_surprisal
from phasescope.reports.surprisal.figures import sizes_figure, surprisal_figure


def behaviour_part(about: Scope) -> Part:
    """Surprisal along training, of one size."""
    title, key = "Behaviour", "behaviour"
    intro = "What the models do with the text, and how far apart the seeds are in what they predict."
    table = about.tables["surprisal"]
    if why := no_surprisal(table, about.tables.why("surprisal")):
        return Part(key, title, intro, notes=[why])
    figure = surprisal_figure(table, about.size, seeds=about.seeds)
    panel = Panel("Surprisal", captions.surprisal(table), figure, source="surprisal")
    return Part(key, title, intro, [with_bands(panel, about.tables)])


def sizes_compared(about: Scope) -> Iterator[Part]:
    """Surprisal of all sizes, where two have a curve."""
    table = trajectories(about.tables["surprisal"], "surprisal")
    if table["size"].nunique() > 1:
        figure = sizes_figure(table, about.sizes)
        yield from compared([Panel("Surprisal", captions.sizes(table), figure, source="surprisal")])
