"""The shape of one site's activations, in the explorer."""

from __future__ import annotations

from phasescope.reports.geometry.section import MEASURES
from phasescope.reports.kit import tidy
from phasescope.reports.kit.site_panel import Looked, Shown, SitePanel, seed_curves

_BY_TITLE = {title: measure for measure, title in MEASURES.items()}


def _show(looked: Looked) -> Shown:
    rows = looked.of_head(looked.rows("geometry", ("size", "site"), looked.size, looked.site))
    rows = tidy.of(rows, measure=_BY_TITLE.get(looked.chosen, looked.chosen))
    rows = rows[rows["value"].notna()]
    if rows.empty:
        return Shown(f"There is no {looked.chosen.lower()} of {looked.label}.")
    return Shown(seed_curves(rows, looked, looked.chosen.lower(), chance="shuffled"))


PANEL = SitePanel(
    "Shape of activations",
    "Of this site, a curve for each seed with its interval; dotted: features from samples of their own, by chance.",
    "geometry",
    _show,
    "Measure",
    lambda looked: list(_BY_TITLE),
)
