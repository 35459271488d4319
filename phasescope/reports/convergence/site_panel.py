"""Convergence of one site, in the explorer."""

from __future__ import annotations

from phasescope.reports.convergence.layer_figure import layer_figure
from phasescope.reports.kit import cells
from phasescope.reports.kit.site_panel import HEIGHT, Looked, Shown, SitePanel

_TAU = 0.9


def _show(looked: Looked) -> Shown:
    rows = looked.of_head(looked.rows("convergence", ("size", "site"), looked.size, looked.site))
    # A seed keeps its colour whichever others are chosen.
    shown = rows.assign(cka=rows["cka"].where(rows["seed"].isin(looked.seeds)))
    settles = _settles(looked)
    return Shown(layer_figure(shown).and_layout(height=HEIGHT), (settles,) if settles else ())


def _settles(looked: Looked) -> str:
    """From which step each seed stays at or over τ, with its interval."""
    rows = looked.of_head(looked.rows("settling", ("size", "site"), looked.size, looked.site))
    if rows.empty:
        return ""
    taus = sorted(rows["tau"].unique())
    tau = _TAU if _TAU in taus else taus[0]
    words = [
        f"seed {row['seed']}{' at' * bool(row['moved'])} {cells.settled(row)}"
        for row in rows[(rows["tau"] == tau) & rows["seed"].isin(looked.seeds)].sort_values("seed").to_dict("records")
    ]
    return f"{looked.label} settles (CKA ≥ {tau:g} from there on): {', '.join(words)}." if words else ""


PANEL = SitePanel(
    "Convergence",
    "CKA of this site with itself at the last step, a curve for each seed; the band is its interval.",
    "convergence",
    _show,
    always=True,
)
