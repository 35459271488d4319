"""What a linear probe reads off one site, in the explorer."""

from __future__ import annotations

from phasescope.reports.kit import tidy
from phasescope.reports.kit.site_panel import OWN, Looked, Shown, SitePanel, seed_curves
from phasescope.reports.probing.section import LABELS, MEASURES, UNITS

# Parts of speech last: texts may have none.
_CHOICES = {
    f"{said}, {title.lower()}": (label, measure)
    for label, said in sorted(LABELS.items(), key=lambda label: label[0] == "pos")
    for measure, title in MEASURES.items()
}
# What is drawn dotted beside each measure, and what it is.
_BESIDE = {"accuracy": ("control", "control task"), "bits": ("uniform_bits", "all classes alike")}


def _show(looked: Looked) -> Shown:
    label, measure = _CHOICES[looked.chosen]
    if looked.head is not None:
        return Shown(f"{looked.label} was not probed: heads are not, one by one.")
    every = looked.rows("probing", ("size", "site"), looked.size, looked.site)
    if every.empty:
        return Shown(
            f"{looked.component} was not probed. Ask: phasescope analyse RUN probing --probe-at {looked.component}"
        )
    rows = tidy.of(every, label=label)
    known = rows[rows[measure].notna()]
    if known.empty:
        why = f": {rows['reason'].iloc[0]}" if len(rows) else ", or this run has no such labels"
        return Shown(f"{looked.label} was not probed for the {LABELS[label].lower()}{why}.")
    columns = OWN | {"value": measure}
    if measure != "accuracy":
        columns = columns | {end: f"{measure}_{end}" for end in ("low", "high")}
    column, called = _BESIDE.get(measure, ("", ""))
    figure = seed_curves(
        known, looked, MEASURES[measure].lower(), columns, unit=UNITS.get(measure, ""), chance=column, beside=called
    )
    majority = f" The most frequent class alone: {known['majority'].iloc[0]:.2f}." if measure == "accuracy" else ""
    return Shown(figure, (f"{int(known['classes'].iloc[0])} classes.{majority}",))


PANEL = SitePanel(
    "What a probe reads",
    "Of sequences that the probe has not seen, a curve for each seed with its interval; dotted: a control task, which "
    "can only be learned by heart, or all classes alike.",
    "probing",
    _show,
    "Label",
    lambda looked: list(_CHOICES),
)
