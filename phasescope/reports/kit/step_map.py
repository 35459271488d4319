"""A map of one number of every layer, or of every head, along training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, Trace, heatmap

if TYPE_CHECKING:
    import pandas as pd

# Between the heads of one layer and the next.
_GAP = {"color": "white", "width": 4}
Row = tuple[int, int | None]


def step_map(
    table: pd.DataFrame,
    value: str,
    *,
    unit: str = "",
    bounds: tuple[float | None, float | None] = (None, None),
    per_head: bool = False,
) -> tuple[Drawing, Sequence[Row]]:
    """One column by layer (up: deeper) and step, median over seeds; and which layer and head each row is.

    Args:
        table: columns seed, step, layer, head and the value, of one size and whatever else tells rows apart.
        value: the column.
        unit: after each number, such as ` nats`.
        bounds: of the colours; None: of the numbers.
        per_head: a row for each head, layer by layer, the first head of a layer lowest.

    Raises:
        ValueError: there is no number.
    """
    grid = tidy.grid(table, value, per_head=per_head)
    if grid.empty or all(number is None for row in grid.values for number in row):
        raise ValueError(f"no {value} to draw")
    names = [_named(layer) if head is None else f"L{layer} head {head}" for layer, head in grid.rows]
    cells = heatmap(
        x=[steps_axis.position(step) for step in grid.steps],
        y=list(range(len(names))),
        z=grid.values,
        text=[[name] * len(grid.steps) for name in names],
        customdata=[grid.steps] * len(names),
        hovertemplate=f"%{{text}}<br>step %{{customdata}}<br>%{{z:.3f}}{unit}<extra></extra>",
        hoverongaps=False,
        colorscale=theme.sequential(),
        zmin=bounds[0],
        zmax=bounds[1],
        colorbar={"thickness": 10, "outlinewidth": 0, "len": 1, "lenmode": "fraction", "x": 1.01},
    )
    return _figure([cells], grid.rows, grid.steps), grid.rows


def _named(layer: int) -> str:
    """Before the first layer there is the embedding."""
    return "embedding" if layer < 0 else f"L{layer}"


def _figure(traces: list[Trace], rows: Sequence[Row], steps: Sequence[int]) -> Drawing:
    heads = any(head is not None for _, head in rows)
    starts = [row for row, (layer, _) in enumerate(rows) if row == 0 or layer != rows[row - 1][0]]
    ends = [*starts[1:], len(rows)]
    shown = list(zip(starts, ends, strict=True))[:: -(-len(starts) // 16)]
    up: dict[str, Any] = {
        "tickmode": "array",
        "showgrid": False,
        "range": [-0.5, len(rows) - 0.5],
        "tickvals": [(start + end - 1) / 2 for start, end in shown],
        "ticktext": [_named(rows[start][0]) for start, _ in shown],
        "title": {"text": "layer, head by head" if heads else "layer"},
        "ticks": "",
    }
    between = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row - 0.5, "line": _GAP}
        for row in starts[1:]
    ]
    each = 18 if not heads else 14 if len(rows) <= 48 else 5
    height = 118 + min(max(len(rows) * each, 120), 1500)
    return theme.figure(traces, height, xaxis=steps_axis.axis(steps), yaxis=up, shapes=between if heads else [])
