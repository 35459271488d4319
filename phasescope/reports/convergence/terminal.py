"""Settling in the terminal: CKA to the final state along training, and when it stays close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled_seeds
from phasescope.reports.convergence.medians import median_settling, settled_from_start
from phasescope.reports.convergence.taus import usual_tau
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


UNSEEN = "No: not seen to settle, as CKA was not surely below τ at first, or is as high with texts that do not match."


def settling_table(settling: pd.DataFrame, convergence: pd.DataFrame) -> RenderableType:
    """Per size, component and layer: CKA to the final state along training, and when it settles at the usual τ.

    The sparkline runs from the first to the last step, from 0 to 1. Brackets: range over seeds (one seed: its 95 %
    interval). "never": not before the last step; "no": CKA was not surely below τ at the first step, or texts that do
    not match reach τ too.
    """
    from rich.console import Group

    tau = usual_tau(settling["tau"].dropna())
    settling, convergence = tidy.whole(settling), tidy.whole(convergence)
    parts: list[RenderableType] = []
    for size in dict.fromkeys(convergence["size"]):
        curves = tidy.of(convergence, size=size)
        settled = median_settling(tidy.of(settling, size=size, tau=tau))
        unseen = "" if settled["moved"].all() else f" {UNSEEN}"
        table = cells.table(
            f"{size}: when layers settle (CKA ≥ {tau:g})",
            "site",
            "CKA, first to last step",
            f">settles at {counting.noun()}",
            ">of training",
            caption=_between(curves) + unseen,
        )
        for component in tidy.ordered_components(curves["component"].unique()):
            grid = tidy.grid(tidy.of(curves, component=component), "cka")
            mine = tidy.of(settled, component=component).set_index("layer")
            for (layer, _), values in zip(grid.rows, grid.values, strict=True):
                curve = cells.sparkline(values, 0, 1)
                table.add_row(f"L{layer}.{component}", curve, *_settles(mine, layer, values, tau))
            table.add_section()
        parts += [table, ""]
    return Group(*parts[:-1]) if parts else cells.nothing("convergence")


def _settles(
    settled: pd.DataFrame, layer: int, values: list[float | None], tau: float
) -> tuple[RenderableType, RenderableType]:
    """The two cells about settling of a layer."""
    if layer not in settled.index or all(value is None for value in values):
        return "no CKA", ""
    row = settled.loc[layer]
    share = f"{100 * row['fraction']:.0f} %" if cells.known(row["fraction"]) else ""
    if not any(cells.known(row[name]) for name in ("median", "low", "high")):
        return "never", ""
    if not row["moved"]:
        return f"no: {settled_from_start(settled.loc[[layer]], tau).removeprefix('CKA ')}", ""
    return cells.plain(f"{cells.step(row['median'])} [{cells.step(row['low'])}, {cells.step(row['high'])}]"), share


def _between(table: pd.DataFrame) -> str:
    seeds = pooled_seeds(table)
    what = f"Median of {seeds} seeds, [range]" if seeds > 1 else "One seed, [bootstrap interval]"
    return f"{what}{cells.without(table)}."
