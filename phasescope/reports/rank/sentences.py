"""Which weight changes its rank most, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import left_out, pooled, pooled_seeds
from phasescope.reports.kit import tidy
from phasescope.reports.kit.tables import Tables

if TYPE_CHECKING:
    import pandas as pd


def rank_finding(size: str, tables: Tables, seeds: int) -> str:
    """Which weight or circuit changes its proportional effective rank most."""
    whole = pooled(tables["rank"])
    table = whole[whole["kind"].isin(["weight", "circuit"]) & whole["layer"].notna()]
    table = table[table["proportional"].notna()]
    if table["step"].nunique() < 2:
        return ""
    middle = table.groupby(["kind", "component", "layer", "step"])["proportional"].median().unstack("step").dropna()
    if middle.empty:
        return ""
    change = (middle.iloc[:, -1] - middle.iloc[:, 0]).to_numpy()
    most = int(abs(change).argmax())
    kind, component, layer = (str(name[most]) for name in map(middle.index.get_level_values, range(3)))
    first, last = (float(values[most]) for values in (middle.iloc[:, 0].to_numpy(), middle.iloc[:, -1].to_numpy()))
    mine = tidy.of(table, kind=kind, component=component)
    of_seeds = mine[mine["layer"] == int(layer)].groupby(["step", "seed"])["proportional"].median()
    seeds = pooled_seeds(tables["rank"])
    begin, end = (_with_range(value, of_seeds[middle.columns[at]], seeds) for value, at in ((first, 0), (last, -1)))
    over = f"{'heads and ' if kind == 'circuit' else ''}{seeds} seed{'s' if seeds != 1 else ''}"
    over += ", range of the seeds in brackets" if seeds > 1 else ""
    over += f"; {told}" if (told := left_out(tables["rank"])) else ""
    return (
        f"The proportional effective rank of {size} changes most in {component} of L{layer}, where it "
        f"{'falls' if last < first else 'rises'} from {begin} at {counting.at(middle.columns[0])} to {end} at "
        f"{counting.at(middle.columns[-1])} (median over {over})."
    )


def _with_range(value: float, of_seeds: pd.Series[float], seeds: int) -> str:
    return tidy.interval(value, of_seeds.min(), of_seeds.max(), digits=3) if seeds > 1 else f"{value:.3f}"
