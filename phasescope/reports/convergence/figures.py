"""Heat maps of CKA to the final state: where on the step axis each layer, or each head, becomes what it will be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.drawing import Drawing, Trace, heatmap, scatter

if TYPE_CHECKING:
    import pandas as pd

ESTIMATORS = {"biased": "cka", "debiased": "cka_debiased"}
# Above this many columns, gaps between cells would eat the cells.
_MOST_GAPPED = 24
# Between the heads of one layer and the next.
_GAP = {"color": "white", "width": 4}


def convergence_heatmap(
    convergence: pd.DataFrame,
    size: str,
    component: str,
    *,
    seed: int | None = None,
    estimator: str = "biased",
    settling: pd.DataFrame | None = None,
    tau: float = 0.9,
) -> Drawing:
    """CKA to the final state by layer (up: deeper) and step.

    Args:
        convergence: columns size, seed, step, layer, component, head, shuffled and cka or cka_debiased.
        size, component: what to show; a component that has only heads is shown as the median over them.
        seed: one seed; None: the median over seeds.
        estimator: `biased` or `debiased` CKA.
        settling: the settling table; if given, a ring marks where each layer that moved settles at `tau`.

    Left of the first step stands the most CKA that texts that do not match give at any step (`shuffled`).

    Raises:
        ValueError: nothing in the table has a CKA, so there is nothing to draw.
    """
    grid = convergence_grid(convergence, size, component, seed=seed, estimator=estimator)
    if grid.empty:
        raise ValueError(f"no {estimator} CKA of {component} in {size} to draw")
    traces = [_cells(grid)]
    if settling is not None:
        layers_of = [layer for layer, _ in grid.rows]
        marks = settling_marks(settling, layers_of, size, component, seed=seed, tau=tau)
        traces.append(_rings(marks, tau))
    chance = _Chance.of(convergence, grid, size, component, seed=seed)
    traces += chance.cells
    shown = list(range(len(grid.rows)))[:: -(-len(grid.rows) // 16)]
    layers = {"tickvals": shown, "ticktext": [f"L{grid.rows[row][0]}" for row in shown], "title": {"text": "layer"}}
    height = 118 + max(len(grid.rows) * (30 if len(grid.rows) <= 8 else 18), 100)
    return theme.figure(traces, height, xaxis=chance.beside(_steps(grid)), yaxis=_rows(grid, layers))


def head_heatmap(
    convergence: pd.DataFrame, size: str, component: str, *, seed: int | None = None, estimator: str = "biased"
) -> Drawing:
    """CKA to the final state of every head by step: heads stand layer by layer, the first head of a layer lowest.

    Columns and arguments as for `convergence_heatmap`. Raises ValueError where no head has a CKA.
    """
    grid = convergence_grid(convergence, size, component, seed=seed, estimator=estimator, per_head=True)
    if grid.empty:
        raise ValueError(f"no {estimator} CKA of heads of {component} in {size} to draw")
    rows = range(len(grid.rows))
    starts = [row for row in rows if row == 0 or grid.rows[row][0] != grid.rows[row - 1][0]]
    ends = [*starts[1:], len(grid.rows)]
    layers = {
        "tickvals": [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)],
        "ticktext": [f"L{grid.rows[start][0]}" for start in starts],
        "title": {"text": "layer, head by head"},
        "ticks": "",
    }
    between = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": row - 0.5, "y1": row - 0.5, "line": _GAP}
        for row in starts[1:]
    ]
    height = 118 + min(max(len(grid.rows) * (14 if len(grid.rows) <= 48 else 5), 120), 1500)
    chance = _Chance.of(convergence, grid, size, component, seed=seed, per_head=True)
    across = chance.beside(_steps(grid))
    return theme.figure([_cells(grid), *chance.cells], height, xaxis=across, yaxis=_rows(grid, layers), shapes=between)


def convergence_grid(
    convergence: pd.DataFrame,
    size: str,
    component: str,
    *,
    seed: int | None = None,
    estimator: str = "biased",
    per_head: bool = False,
) -> tidy.Grid:
    """The numbers of a heat map. `estimator` is `biased` or `debiased`."""
    if estimator not in ESTIMATORS:
        raise ValueError(f"estimator is one of {', '.join(ESTIMATORS)}, not {estimator!r}")
    chosen = _chosen(convergence, size, component, seed, per_head)
    return tidy.grid(chosen, ESTIMATORS[estimator], per_head=per_head)


def _chosen(convergence: pd.DataFrame, size: str, component: str, seed: int | None, per_head: bool) -> pd.DataFrame:
    table = tidy.of(convergence, size=size, component=component, seed=seed)
    whole = tidy.whole(table)
    return tidy.heads(table) if per_head or whole.empty else whole


def settling_marks(
    settling: pd.DataFrame,
    rows: Sequence[int],
    size: str,
    component: str,
    *,
    seed: int | None = None,
    tau: float = 0.9,
) -> dict[str, list[Any]]:
    """Where the rings go: x (position), y (row of the map), and layer and step of each layer that settles.

    rows: the layer of each row.
    """
    table = tidy.whole(tidy.of(settling, size=size, component=component, seed=seed, tau=tau))
    found = median_settling(table).dropna(subset=["median"])
    found = found[found["moved"]]
    row_of = {layer: row for row, layer in enumerate(rows)}
    marks = [(int(layer), int(step)) for layer, step in zip(found["layer"], found["median"], strict=True)]
    marks = [(layer, step) for layer, step in marks if layer in row_of]
    return {
        "x": [steps_axis.position(step) for _, step in marks],
        "y": [row_of[layer] for layer, _ in marks],
        "customdata": [[layer, step] for layer, step in marks],
    }


def row_names(grid: tidy.Grid) -> list[str]:
    """What each row is called: `L3`, or `L3 head 1`."""
    return [f"L{layer}" if head is None else f"L{layer} head {head}" for layer, head in grid.rows]


def _cells(grid: tidy.Grid) -> Trace:
    gap = _gap(grid)
    return heatmap(
        x=[steps_axis.position(step) for step in grid.steps],
        y=list(range(len(grid.rows))),
        z=grid.values,
        text=[[name] * len(grid.steps) for name in row_names(grid)],
        customdata=[grid.steps] * len(grid.rows),
        hovertemplate="%{text}<br>step %{customdata}<br>CKA %{z:.3f}<extra></extra>",
        hoverongaps=False,
        colorscale=theme.sequential(),
        zmin=0,
        zmax=1,
        xgap=gap,
        ygap=gap,
        colorbar={
            "title": {"text": "CKA", "side": "right"}, "thickness": 10, "outlinewidth": 0, "tickvals": [0, 0.5, 1],
            "len": 1, "lenmode": "fraction", "x": 1.01,
        },
    )  # fmt: skip


@dataclass(frozen=True)
class _Chance:
    """A column of cells left of the first step, with what CKA is by chance; no cells where that was not measured."""

    cells: list[Trace]
    edges: tuple[float, float]

    @classmethod
    def of(
        cls,
        convergence: pd.DataFrame,
        grid: tidy.Grid,
        size: str,
        component: str,
        *,
        seed: int | None,
        per_head: bool = False,
    ) -> _Chance:
        left, right = _outer(grid)
        edges = (left - 0.11 * (right - left), left - 0.03 * (right - left))
        shuffled = tidy.grid(_chosen(convergence, size, component, seed, per_head), "shuffled", per_head=per_head)
        most = [max((value for value in row if value is not None), default=None) for row in shuffled.values]
        if all(value is None for value in most):
            return cls([], edges)
        names = row_names(grid)
        # Names and steps as all heat maps of a page have them: see `panels`.
        cells = heatmap(
            x=list(edges),
            y=list(range(len(most))),
            z=[[value] for value in most],
            text=[[name] for name in names],
            customdata=[["by chance"]] * len(names),
            hovertemplate="%{text}<br>texts that do not match<br>CKA %{z:.3f}<extra></extra>",
            hoverongaps=False,
            colorscale=theme.sequential(),
            zmin=0,
            zmax=1,
            showscale=False,
            ygap=_gap(grid),
        )
        return cls([cells], edges)

    def beside(self, axis: dict[str, Any]) -> dict[str, Any]:
        """The axis of steps with room for the column, and its name."""
        if not self.cells:
            return axis
        axis["tickvals"] = [sum(self.edges) / 2, *axis["tickvals"]]
        axis["ticktext"] = ["chance", *axis["ticktext"]]
        axis["range"] = [self.edges[0], axis["range"][1]]
        return axis


def _rings(marks: dict[str, list[Any]], tau: float) -> Trace:
    return scatter(
        **marks,
        meta=theme.held("layer", "step", axes=""),
        mode="markers",
        name=f"settles (τ = {tau:g})",
        marker={"symbol": "circle", "size": 9, "color": "white", "line": {"color": "black", "width": 1.6}},
        hovertemplate=(
            f"L%{{customdata[0]}} settles at step %{{customdata[1]}}<br>CKA ≥ {tau:g} from here on<extra></extra>"
        ),
        showlegend=False,
    )


def _steps(grid: tidy.Grid) -> dict[str, Any]:
    """The axis of steps, as wide as the cells: the outer ones reach half a step beyond the first and the last."""
    axis = steps_axis.axis(grid.steps)
    if len(grid.steps) > 1:
        axis["range"] = list(_outer(grid))
    return axis


def _outer(grid: tidy.Grid) -> tuple[float, float]:
    """Where the cells begin and end."""
    places = [steps_axis.position(step) for step in grid.steps]
    if len(places) < 2:
        return places[0] - 0.5, places[0] + 0.5
    return places[0] - (places[1] - places[0]) / 2, places[-1] + (places[-1] - places[-2]) / 2


def _gap(grid: tidy.Grid) -> int:
    return 1 if len(grid.steps) <= _MOST_GAPPED and len(grid.rows) <= 48 else 0


def _rows(grid: tidy.Grid, labels: dict[str, Any]) -> dict[str, Any]:
    return {"tickmode": "array", "showgrid": False, "range": [-0.5, len(grid.rows) - 0.5], **labels}
