"""Effective rank of one site, or of a matrix of its layer, in the explorer."""

from __future__ import annotations

from phasescope.reports.kit.site_panel import RANGE, Looked, Shown, SitePanel, over_heads, seed_curves

_ACTIVATIONS = "activations"


def _show(looked: Looked) -> Shown:
    component = looked.component if looked.chosen == _ACTIVATIONS else looked.chosen
    rows = looked.rows("rank", ("size", "layer", "component"), looked.size, looked.layer, component)
    if looked.chosen == _ACTIVATIONS:
        rows = looked.of_head(rows)
    ranges, says = over_heads(rows, looked, component, "proportional")
    if ranges.empty:
        return Shown(f"There is no rank of {component} in layer {looked.layer} of {looked.size}.", says)
    return Shown(seed_curves(ranges, looked, "proportional effective rank", RANGE), says)


PANEL = SitePanel(
    "Effective rank",
    "How many of its dimensions the matrix uses, as a share of those it has.",
    "rank",
    _show,
    "Rank of",
    lambda looked: [_ACTIVATIONS, *looked.matrices],
    always=True,
)
