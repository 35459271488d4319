"""Layer × layer maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.drawing import Drawing, heatmap
from phasescope.reports.similarity.words import MEASURES, bounds

if TYPE_CHECKING:
    import pandas as pd

_HEIGHT = 380


def layer_map_figure(rows: pd.DataFrame, axes: tuple[str, str]) -> Drawing:
    """Every layer of one checkpoint (up) beside every layer of another (across), of one component and measure.

    rows: of `similarity_maps`. axes: what the layers across and up are of.

    Raises:
        ValueError: there is no number.
    """
    wide = rows.pivot_table(index="layer", columns="other_layer", values="value", dropna=False)
    if wide.empty or wide.isna().to_numpy().all():
        raise ValueError("no layers to compare")
    measure = str(rows["measure"].iloc[0])
    low, high = bounds(measure)
    mine, theirs = ([int(layer) for layer in side] for side in (wide.index, wide.columns))
    cells = heatmap(
        x=list(range(len(theirs))),
        y=list(range(len(mine))),
        z=[tidy.numbers_or_none(row) for row in wide.round(3).to_numpy().tolist()],
        text=[[f"L{layer}"] * len(theirs) for layer in mine],
        customdata=[theirs] * len(mine),
        meta={"across": "other layer"},
        hovertemplate="%{text} and L%{customdata}<br>%{z:.3f}<extra></extra>",
        hoverongaps=False,
        colorscale=theme.sequential(),
        zmin=low,
        zmax=high,
        colorbar={
            "title": {"text": MEASURES[measure], "side": "right"},
            **{"thickness": 10, "outlinewidth": 0, "len": 1, "lenmode": "fraction", "x": 1.01},
        },
    )
    across, up = (
        {
            "tickmode": "array",
            "tickvals": list(range(len(layers)))[:: -(-len(layers) // 16)],
            "ticktext": [f"L{layer}" for layer in layers][:: -(-len(layers) // 16)],
            "title": {"text": theme.plain(title)},
            "showgrid": False,
            "ticks": "",
        }
        for layers, title in zip((theirs, mine), axes, strict=True)
    )
    square: dict[str, Any] = {"scaleanchor": "x", "constrain": "domain"} if len(mine) == len(theirs) else {}
    return theme.figure([cells], _HEIGHT, xaxis=across | {"constrain": "domain"}, yaxis=up | square)
