"""The part of a report about how far weights came, and the sentence about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

_KEY, _TITLE = "drift", "Weights and their way"
_MEASURES = {
    "relative": ("drift", "Distance to the first step, of its norm"),
    "path_share": ("drift", "Share of the path gone"),
    "cosine": ("drift", "Cosine of successive updates"),
    "stable_rank": ("norms", "Stable rank"),
    "spectral": ("norms", "Spectral norm"),
    "frobenius": ("norms", "Frobenius norm"),
    "nuclear": ("norms", "Nuclear norm"),
}
_BOUNDS = {"relative": (0.0, None), "path_share": (0.0, 1.0), "cosine": (-1.0, 1.0)}


def drift_parts(size: str, tables: Tables) -> list[Part]:
    """One map for every measure and matrix; none where no weights were read at two steps."""
    told = {"drift": tables["drift"], "norms": tables["norms"]}
    layered = {name: table[table["layer"].notna()] for name, table in told.items()}
    components = list(dict.fromkeys(layered["drift"]["component"]))
    if not components or layered["drift"]["step"].nunique() < 2:
        return []
    controls = [
        Control("weight", "Matrix", [(name, name) for name in components]),
        Control("measure", "Measure", [(name, title) for name, (_, title) in _MEASURES.items()]),
    ]

    def draw(component: str, measure: str) -> Drawing | None:
        rows = tidy.of(layered[_MEASURES[measure][0]], component=component)
        rows = rows if _MEASURES[measure][0] == "norms" else rows[rows["head"].isna()]
        try:
            return step_map(rows, measure, bounds=_BOUNDS.get(measure, (None, None)))[0]
        except ValueError:
            return None

    others = variants(controls, lambda *chosen: None if (made := draw(*chosen)) is None else traces_of(made))
    first = draw(components[0], "relative")
    if first is None:
        return []
    exact = bool(layered["drift"]["exact"].all())
    how = "whole matrices" if exact else f"up to {int(layered['drift']['entries'].max())} entries of each matrix"
    text = (
        f"Median over seeds and heads of {size}. Distances from {how}; norms are exact, from all singular values. The "
        "share of the path counts what was seen between checkpoints."
    )
    panel = Panel("Matrix by matrix", text, first, ("weight", "measure"), others, source="drift, norms")
    intro = "How far each matrix is from where it began, and whether successive updates point the same way."
    return [Part(_KEY, _TITLE, intro, [panel], controls=controls)]


def drift_finding(size: str, tables: Tables, seeds: int) -> str:
    """Which matrix came farthest, and when half of its path was gone."""
    table = tables["drift"]
    table = table[table["head"].isna() & table["relative"].notna() & table["layer"].notna()]
    if table.empty or table["step"].nunique() < 2:
        return ""
    table = pooled(table)
    last = table[table["step"] == table["step"].max()]
    site = str(last.groupby("site")["relative"].median().idxmax())
    mine = last[last["site"] == site]
    gone = tidy.of(table, site=site).groupby("step")["path_share"].median()
    half = gone[gone >= 0.5]
    when = f"; half of its path is gone by {counting.at(half.index[0])}" if len(half) else ""
    row = mine.iloc[0]
    return (
        f"Of all matrices of {size}, {row['component']} of L{int(row['layer'])} ends farthest from where it began: "
        f"{_range(mine)} of its first norm ({tidy.over_seeds(mine)}){when}."
    )


def _range(rows: pd.DataFrame) -> str:
    values = rows["relative"]
    if len(values) > 1:
        return f"{values.median():.2f} [{values.min():.2f}, {values.max():.2f}] times"
    row = rows.iloc[0]
    scale = row["relative"] / row["from_start"]
    return f"{row['relative']:.2f} [{row['low'] * scale:.2f}, {row['high'] * scale:.2f}] times"
