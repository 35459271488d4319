"""Similarity of one site, in the explorer."""

from __future__ import annotations

from phasescope.reports.kit.site_panel import Looked, Shown, SitePanel, seed_curves
from phasescope.reports.similarity.words import MEASURES, RELATIONS

_CHOICES = {
    f"{title}, {told[0].lower()}{told[1:]}": (measure, relation)
    for measure, title in MEASURES.items()
    for relation, told in RELATIONS.items()
}


def _show(looked: Looked) -> Shown:
    measure, relation = _CHOICES[looked.chosen]
    by = ("size", "site", "measure", "relation")
    rows = looked.rows("similarity", by, looked.size, looked.site, measure, relation)
    if rows.empty or looked.head is not None:
        why = (
            "heads are not compared one by one" if looked.head is not None else "it was not asked for, or is not there"
        )
        return Shown(f"There is no {looked.chosen} of {looked.label}: {why}.")
    known = rows[rows["value"].notna()]
    if known.empty:
        return Shown(f"{rows['reason'].iloc[0]}.")
    # Of several pairs that a seed is in, the mean, with the outermost ends.
    shown = known.groupby(["seed", "step"], as_index=False).agg(
        {"value": "mean", "low": "min", "high": "max", "shuffled": "mean"}
    )
    figure = seed_curves(shown, looked, MEASURES[measure], chance="shuffled")
    return Shown(figure, ("Dotted: the same where samples do not match.",))


PANEL = SitePanel(
    "Similarity",
    "How alike this site is to others, a curve for each seed; the band is its interval.",
    "similarity",
    _show,
    "Similarity by",
    lambda looked: list(_CHOICES),
)
