"""Captions of convergence and settling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import tidy
from phasescope.reports.kit.captions import described, drawn, samples, seeds_of_each

if TYPE_CHECKING:
    import pandas as pd


UNMOVED = (
    "Open: no settling was seen, since CKA was not surely below τ at the first step, or texts that do not match reach "
    "τ too."
)
"""What stands beside settling steps that mean nothing, wherever they are drawn."""


_CHANCE = " Left, chance: the most biased CKA that texts which do not match give at any step."


def heatmap(table: pd.DataFrame, component: str, *, tau: float, marked: bool) -> str:
    """Of a heat map by layer; `table` holds the rows of the component."""
    text = f"{described(component)}: linear CKA with the same layer's activations at the last step. "
    text += f"Shown first: biased estimator, {tidy.over_seeds(table)}; {samples(table)}."
    if tidy.whole(table).empty:
        text += " Median over heads."
    if marked:
        text += f" Ring: the settling step (biased CKA stays at {tau:g} or more from there on); no ring, no settling."
    return text + _CHANCE + drawn(table["step"]) + _holes(table)


def head_map(table: pd.DataFrame, component: str) -> str:
    """Of a heat map by head."""
    heads = table.groupby("layer")["head"].nunique().max()
    text = (
        f"{described(component)}, head by head ({heads} per layer, the first lowest): linear CKA of each head's part "
    )
    text += f"with the same head's at the last step; {tidy.over_seeds(table)}; {samples(table)}."
    return text + _CHANCE + drawn(table["step"]) + _holes(table)


def settling(table: pd.DataFrame, component: str) -> str:
    """Of the dots of settling steps; `table` holds the rows of the component."""
    seeds = table["seed"].nunique()
    text = f"{described(component)}: the first step from which biased CKA to the final state stays at τ or more. "
    text += f"A dot per seed ({seeds}), its line the {tidy.level(table)} bootstrap interval over sequences"
    text += f", the bar the {tidy.over_seeds(table)}." if seeds > 1 else "."
    whole = tidy.whole(table)
    if whole["settling_step"].isna().any():
        text += " Triangles under “never” did not settle before the last step of their seed."
    if not whole["moved"].all():
        text += f" {UNMOVED}"
    return text


def depth(table: pd.DataFrame, component: str) -> str:
    """Of settling steps by depth, sizes compared."""
    count = seeds_of_each(table)
    text = (
        f"{described(component)}: median settling step over seeds ({count}) against relative depth; band: range over "
    )
    text += f"seeds ({tidy.level(table)} bootstrap interval where there is one seed)."
    return text + (
        "" if table["moved"].all() else " Layers that did not move, as the settling of each size tells, are not drawn."
    )


def _holes(table: pd.DataFrame) -> str:
    if table["cka"].notna().all():
        return ""
    why = tidy.listing(tidy.reasons(table), at_most=2)
    return " Empty cells have no CKA" + (f": {why}." if why else ".")
