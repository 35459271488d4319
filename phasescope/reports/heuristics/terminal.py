"""Study C's analyses in the terminal: which heuristic explains the predictions when, and how alike models are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.heuristics.peaks import summary_peaks
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table


# What 80 columns have room for.
_SHORT = {"similarity_weighted": "near similarity"}


def heuristics_table(heuristics: pd.DataFrame, peaks: pd.DataFrame, fit: pd.DataFrame) -> RenderableType:
    """Per size: the correlation with each predictor along training, its peak, and how much all explain at the end."""
    from rich.console import Group

    known = heuristics[heuristics["pearson"].notna()]
    if known.empty:
        return cells.plain(str(heuristics.attrs.get("absent") or "There is no correlation with n-grams in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(known["size"]):
        for unit in dict.fromkeys(known["unit"]):
            here = tidy.of(known, size=size, unit=unit)
            if len(here):
                parts += [
                    _of_size(size, here, summary_peaks(peaks, size, unit)),
                    *_explained(tidy.of(fit, size=size, unit=unit), unit),
                    "",
                ]
    return Group(*parts[:-1])


def _of_size(size: str, here: pd.DataFrame, peaks: pd.DataFrame) -> Table:
    unit, words = here["unit"].iloc[0], int(here["words"].max())
    table = cells.table(
        f"{size}: what {unit} log-probabilities go with (Pearson)",
        "predictor",
        "along",
        ">last",
        ">peak",
        f">at {counting.noun()}",
        ">earlier",
        caption=f"{words:,} {unit}s, counted in {here['reference'].iloc[0]}; {_over(here)}; "
        f"[{tidy.level(here)} interval]. +: at the last step, so it may come later. Earlier: in how many resamples "
        "the peak comes before that of the next.",
    )
    middle = peaks.set_index("predictor")
    for name in dict.fromkeys(here["predictor"]):
        curve = pooled(tidy.of(here, predictor=name)).groupby("step")["pearson"].mean()
        highest, at, before = "", "", ""
        if name in middle.index:
            row = middle.loc[name]
            highest = cells.number(row["correlation"], 2)
            at = _place(row)
            if cells.known(row["before_next"]) and not row["at_end"]:
                before = f"{100 * row['before_next']:.0f} %"
        along = cells.sparkline(curve, 0, 1, at_most=12)
        table.add_row(_SHORT.get(name, name), along, cells.number(curve.iloc[-1], 2), highest, cells.plain(at), before)
    return table


def _explained(fit: pd.DataFrame, unit: str) -> list[RenderableType]:
    """How much of the variance the regression explains, at its best and at the end."""
    held_out = pooled(fit).drop_duplicates(["seed", "step"]).groupby("step")["r2_held_out"].mean().dropna()
    if held_out.empty:
        return []
    terms = tidy.listing(list(dict.fromkeys(fit["term"])))
    return [
        cells.plain(
            f"{terms} together explain at most {held_out.max():.0%} of the variance of {unit}s held out ("
            f"{counting.at(held_out.idxmax())}), {held_out.iloc[-1]:.0%} at the end."
        )
    ]


def _place(row: pd.Series[Any]) -> str:
    """`64 [64, 128]`, `512+ [512, 512]`."""
    edges = f"{cells.step(row['low'])}, {cells.step(row['high'])}"
    return f"{cells.step(row['peak_step'])}{'+' if row['at_end'] else ''} [{edges}]"


def _over(table: pd.DataFrame) -> str:
    return tidy.over_seeds(table).replace("median", "mean")
