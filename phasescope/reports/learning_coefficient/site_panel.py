"""The local learning coefficient of all weights, or of a layer or head, in the explorer."""

from __future__ import annotations

from collections.abc import Sequence

from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.site_panel import OWN, Looked, Shown, SitePanel, seed_curves

_ALL, _LAYER, _HEAD = "all weights", "this layer", "this head"


def _choices(looked: Looked) -> Sequence[str]:
    return [_ALL, _LAYER, *([_HEAD] if looked.head is not None else [])]


def _show(looked: Looked) -> Shown:
    rows = looked.rows("learning_coefficient", ("size",), looked.size)
    if looked.chosen == _ALL:
        rows, what = tidy.of(rows, at="full"), f"of all weights of {looked.size}"
    elif looked.chosen == _LAYER:
        rows, what = tidy.of(rows, layer=looked.layer), f"of layer {looked.layer} of {looked.size}"
        rows = rows[rows["head"].isna()]
    else:
        rows = tidy.of(rows, layer=looked.layer, head=looked.head)
        what = f"of head {looked.head} of layer {looked.layer} of {looked.size}"
    rows = rows[rows["seed"].isin(looked.seeds)]
    known = rows[rows["coefficient"].notna()]
    doubtful = rows[rows["reason"] != ""]
    says = ()
    if len(doubtful):
        says = (f"{len(doubtful)} of {counted(len(rows), 'coefficient')} in doubt: {doubtful['reason'].iloc[0]}.",)
    if known.empty:
        return Shown(f"No coefficient {what} is known: weights were not drawn there, or all chains diverged.", says)
    return Shown(seed_curves(known, looked, "learning coefficient", OWN | {"value": "coefficient"}), says)


PANEL = SitePanel(
    "Basin of the weights",
    "The local learning coefficient, a curve for each seed with its interval over chains.",
    "learning_coefficient",
    _show,
    "Of",
    _choices,
)
