"""What one head looks at, or the strongest of a layer, in the explorer."""

from __future__ import annotations

from phasescope.reports.heads.figures import SCORES
from phasescope.reports.kit import tidy
from phasescope.reports.kit.site_panel import Looked, Shown, SitePanel, seed_curves

_BY_TITLE = {title: score for score, title in SCORES.items()}


def _show(looked: Looked) -> Shown:
    rows = looked.rows("heads", ("size", "layer"), looked.size, looked.layer)
    rows = tidy.of(rows, score=_BY_TITLE.get(looked.chosen, looked.chosen))
    says = f"Head {looked.head} of layer {looked.layer}."
    if looked.head is not None:
        rows = rows[rows["head"] == looked.head]
    elif len(rows):
        rows = rows.loc[rows.groupby(["seed", "step"])["value"].idxmax()]
        says = f"The head of layer {looked.layer} that has most, at each step."
    if rows.empty:
        return Shown(f"Heads of layer {looked.layer} of {looked.size} were not scored.")
    figure = seed_curves(rows, looked, looked.chosen.lower(), chance="twins", beside="where nothing repeats")
    return Shown(figure, (says,))


PANEL = SitePanel(
    "What heads look at",
    "Of random tokens that are read twice, a curve for each seed with its interval; dotted: where nothing repeats.",
    "heads",
    _show,
    "Score",
    lambda looked: list(_BY_TITLE),
)
