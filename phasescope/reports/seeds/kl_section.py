"""The figures of KL between seeds that stand beside those of other questions."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.reports.kit.answer import Scope
from phasescope.reports.kit.compared import compared, trajectories
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.phases.bands import with_bands
from phasescope.reports.seeds import captions
from phasescope.reports.seeds.absent import no_kl
from phasescope.reports.seeds.kl_figure import kl_figure


def behaviour_part(about: Scope) -> Part:
    """Of one size, beside its surprisal."""
    table = about.tables["seeds"]
    if why := no_kl(about):
        return Part("behaviour", "Behaviour", "", notes=[why])
    panel = Panel("KL between seeds", captions.kl(table), kl_figure(table, [about.size]), source="seeds")
    return Part("behaviour", "Behaviour", "", [with_bands(panel, about.tables)])


def sizes_compared(about: Scope) -> Iterator[Part]:
    """Of all sizes, where two have a curve."""
    table = trajectories(about.tables["seeds"], "kl")
    if table["size"].nunique() > 1:
        figure = kl_figure(table, about.sizes, all_sizes=about.sizes)
        yield from compared([Panel("KL between seeds", captions.kl(table), figure, source="seeds")])
