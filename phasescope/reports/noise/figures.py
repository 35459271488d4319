"""Corrupted text in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, curve_with_band
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd


def by_rate_figure(noise: pd.DataFrame, step: int) -> Drawing:
    """How many times the clean perplexity corrupted text has at one step, by rate; one curve for each kind of noise.

    Args:
        noise: columns seed, step, kind, rate, ratio, ratio_low, ratio_high, of one size; the rows of decoded text,
            which has no rate, are left out.

    Raises:
        ValueError: no ratio at that step.
    """
    import pandas as pd

    table = noise[(noise["step"] == step) & noise["ratio"].notna() & (noise["rate"] > 0)]
    if table.empty:
        raise ValueError(f"no ratio at step {step}")
    clean = noise[(noise["step"] == step) & (noise["kind"] == "clean")]
    # With the colours that kinds have where the clean text has one too.
    looks = theme.styles(["clean", *dict.fromkeys(table["kind"])])
    curves: list[Trace] = []
    for kind, look in list(looks.items())[1:]:
        here = pd.concat([clean, tidy.of(table, kind=kind)]).assign(step=lambda rows: rows["rate"])
        curve = tidy.across_seeds(here, "ratio", "ratio_low", "ratio_high")
        low, high = (tidy.numbers_or_none(curve[edge].round(4)) for edge in ("low", "high"))
        curves += curve_with_band(
            [100 * rate for rate in curve["step"]],
            tidy.numbers_or_none(curve["value"].round(4)),
            low,
            high,
            name=theme.plain(str(kind).replace("_", " ")),
            look=look,
            customdata=list(zip(low, high, strict=True)),
            columns=("low", "high"),
            axes="xy",
            hovertemplate="%{x:g} % of tokens<br>%{y:.3g} [%{customdata[0]:.3g}, %{customdata[1]:.3g}] times",
        )
    across = {"title": {"text": "part of the tokens (%)"}, "ticksuffix": " %"}
    up = {"title": {"text": "perplexity / clean perplexity"}, "type": "log"}
    up |= steps_axis.log_ticks(min(1.0, float(table["ratio"].min())), float(table["ratio"].max()))
    return theme.figure(bands_behind(curves), 360, xaxis=across, yaxis=up, showlegend=len(looks) > 2)
