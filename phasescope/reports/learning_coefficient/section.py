"""The part of a report about local learning coefficients, and the sentence about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_INTRO = (
    "How fast the loss rises around the weights of a checkpoint: the more directions there are in which it hardly "
    "does, the smaller the coefficient, and the simpler the model (Lau et al. 2023)."
)
_KEY, _TITLE = "learning_coefficient", "The basin that the weights lie in"


def coefficient_parts(tables: Tables) -> list[Part]:
    """Curves of all weights and of layers, and a map of heads; none where no weights were drawn."""
    table = tables["learning_coefficient"]
    known = table[table["coefficient"].notna()]
    if known.empty or known["step"].nunique() < 2:
        return []
    about = f"{_how(known)}; {tidy.over_seeds(known)}"
    band = "range over seeds" if known["seed"].nunique() > 1 else f"{tidy.level(known)} interval over chains"
    panels = []
    for title, rows in (("All weights", tidy.of(known, at="full")), ("Layer by layer", _layers(known))):
        if rows["step"].nunique() > 1:
            curves = {at: tidy.of(rows, at=at) for at in dict.fromkeys(rows["at"])}
            figure = along_training(curves, ("coefficient", "low", "high"), "learning coefficient")
            panels.append(Panel(title, f"{about}; band: {band}.", figure, source="learning_coefficient"))
    heads = tidy.heads(known)
    if heads["step"].nunique() > 1:
        figure = step_map(heads, "coefficient", per_head=True)[0]
        panels.append(Panel("Head by head", f"{about}.", figure, source="learning_coefficient"))
    return [Part(_KEY, _TITLE, _INTRO, panels, notes=_doubts(table))] if panels else []


def _layers(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["layer"].notna() & table["head"].isna()]


def _how(table: pd.DataFrame) -> str:
    row = table.iloc[0]
    return (
        f"{int(row['chains'])} chains of {int(row['draws'])} draws, of which the last {int(row['counted'])} count; "
        f"ε {row['lr']:g}, nβ {row['n_beta']:g}, γ {row['localization']:g}"
    )


def _doubts(table: pd.DataFrame) -> list[str]:
    """Of how many coefficients something is in doubt, and of what the first."""
    doubtful = table[table["reason"] != ""]
    if doubtful.empty:
        return []
    first = doubtful.iloc[0]
    return [
        f"{len(doubtful)} of {counted(len(table), 'coefficient')} cannot be believed as they are; the first, of "
        f"{first['at']} of seed {first['seed']} at step {first['step']}: {first['reason']}."
    ]


def coefficient_finding(size: str, tables: Tables, seeds: int) -> str:
    """From which coefficient to which, of all weights, and of how many steps it can be believed."""
    table = pooled(tidy.of(tables["learning_coefficient"], at="full"))
    known = table[table["coefficient"].notna()]
    if known.empty or known["step"].nunique() < 2:
        return ""
    ends = []
    for step in (known["step"].min(), known["step"].max()):
        rows = tidy.of(known, step=int(step))
        told = tidy.interval(rows["coefficient"].median(), *tidy.outermost(rows), digits=1)
        ends.append(f"{told} at step {int(step)}")
    doubtful = int((table["reason"] != "").sum())
    note = f"; of {doubtful} of {len(table)} checkpoints it cannot be believed as it is" if doubtful else ""
    return (
        f"The local learning coefficient of {size} goes from {ends[0]} to {ends[1]} ({tidy.over_seeds(known)}, "
        f"outermost ends of {tidy.level(known)} intervals over chains){note}."
    )
