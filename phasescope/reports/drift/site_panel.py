"""How far a matrix of a layer came, in the explorer."""

from __future__ import annotations

from phasescope.hooks.sites import CIRCUITS
from phasescope.reports.kit.site_panel import RANGE, Looked, Shown, SitePanel, over_heads, seed_curves


def _show(looked: Looked) -> Shown:
    rows = looked.rows("drift", ("size", "layer", "component"), looked.size, looked.layer, looked.chosen)
    ranges, says = over_heads(rows[rows["relative"].notna()], looked, looked.chosen, "relative")
    if ranges.empty:
        return Shown(f"How far {looked.chosen} came in layer {looked.layer} of {looked.size} is not known.", says)
    return Shown(seed_curves(ranges, looked, "distance from the first step", RANGE), says)


PANEL = SitePanel(
    "Way of a weight",
    "How far the matrix is from where it began, as a part of its norm then.",
    "drift",
    _show,
    "Way of",
    lambda looked: [name for name in looked.matrices if name not in CIRCUITS],
)
