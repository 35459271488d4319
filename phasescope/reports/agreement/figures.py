"""How alike models are, in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.curves import bands_behind, over_steps, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd


def agreement_figure(agreement: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """How alike the predictions of models are along training: seeds of each size, sizes, other runs.

    Args:
        agreement: columns size, beside_run, beside_size, relation, step, pearson, low, high.
        sizes: all sizes of the run, so that a size has one colour in every figure.

    Raises:
        ValueError: no models were compared.
    """
    known = agreement[agreement["pearson"].notna()]
    groups = list(known.groupby(["size", "beside_run", "beside_size", "relation"], sort=False))
    if not groups:
        raise ValueError("no models compared")
    # Seeds of each size first, in the order of sizes: the table has them in that of its pairs.
    groups.sort(key=lambda group: (group[0][3] != "seeds", [*sizes, str(group[0][0])].index(str(group[0][0]))))
    own = theme.styles(sizes)
    others = theme.styles([*sizes, *(key for key, _ in groups if key[3] != "seeds")])
    curves: list[Trace] = []
    for key, rows in groups:
        size, run, beside, relation = (str(part) for part in key)
        label = f"seeds of {size}" if relation == "seeds" else f"{size} and {run + ' ' if run else ''}{beside}"
        look = own[size] if relation == "seeds" else others[key]
        curve = rows.sort_values("step").rename(columns={"pearson": "value"})
        curves += step_curve(curve, theme.plain(label), look, unit="")
    return over_steps(bands_behind(curves), tidy.integers(known["step"]), "correlation (Pearson)")
