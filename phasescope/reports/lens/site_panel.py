"""What a layer would predict, and what its part adds to the right logit, in the explorer."""

from __future__ import annotations

from collections.abc import Sequence

from phasescope.reports.kit.site_panel import Looked, Shown, SitePanel, seed_curves
from phasescope.reports.lens.figures import ANOTHER, SCORES
from phasescope.reports.lens.section import LENSES, PARTS

_SCORES = {f"{told}: {title}": (lens, score) for lens, told in LENSES.items() for score, title in SCORES.items()}
_ADDED = "What it adds to the right logit"


def _choices(looked: Looked) -> Sequence[str]:
    return [*([_ADDED] if looked.component in PARTS else []), *_SCORES]


def _show(looked: Looked) -> Shown:
    if looked.chosen == _ADDED:
        by = ("size", "layer", "component")
        rows = looked.rows("attribution", by, looked.size, looked.layer, looked.component)
        missing, title, said = f"What {looked.label} adds to logits is not known.", "logits", ""
    else:
        lens, score = _SCORES[looked.chosen]
        rows = looked.rows("lens", ("size", "layer", "lens", "score"), looked.size, looked.layer, lens, score)
        missing = f"There is no {LENSES[lens].lower()} of layer {looked.layer} of {looked.size}."
        title, said = score, f"{SCORES[score]}, of the whole stream after layer {looked.layer}."
    rows = rows[rows["value"].notna()]
    if rows.empty:
        return Shown(missing)
    figure = seed_curves(rows, looked, title, chance="shuffled", beside=ANOTHER)
    return Shown(figure, (said,) if said else ())


PANEL = SitePanel(
    "What this layer would predict",
    "Of tokens of the run's own text, a curve for each seed with its interval; dotted: beside another token.",
    "lens",
    _show,
    "Score",
    _choices,
)
