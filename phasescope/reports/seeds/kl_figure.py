"""KL between seeds, in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.curves import step_curve
from phasescope.reports.kit.drawing import Drawing, Trace
from phasescope.reports.surprisal.figures import _finish

if TYPE_CHECKING:
    import pandas as pd


def kl_figure(seeds: pd.DataFrame, sizes: Sequence[str], *, all_sizes: Sequence[str] | None = None) -> Drawing:
    """Expected KL between the seeds of a size along training, with its interval; one curve per size.

    Args:
        seeds: columns size, step, kl, low, high, seeds.
        all_sizes: all sizes of the run, so that a size has one colour in every figure.

    Raises:
        ValueError: the table has no KL of these sizes.
    """
    table = seeds[seeds["kl"].notna() & seeds["size"].isin(list(sizes))]
    if table.empty:
        raise ValueError("no KL between seeds")
    curves: list[Trace] = []
    looks = theme.styles(all_sizes or sizes)
    for size in sizes:
        here = tidy.of(table, size=size).sort_values("step").rename(columns={"kl": "value"})
        if len(here):
            curves += step_curve(here, theme.plain(size), looks[size])
    return _finish(curves, tidy.integers(table["step"]), "expected KL (nats per token)", None)
