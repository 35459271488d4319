"""The parts of a report about convergence: heat maps, heads, and when layers settle."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from phasescope.reports.convergence import captions
from phasescope.reports.convergence.absent import no_cka
from phasescope.reports.convergence.figures import (
    convergence_grid,
    convergence_heatmap,
    head_heatmap,
    row_names,
    settling_marks,
)
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.attending import ATTENTION, with_marks
from phasescope.reports.kit.bands import above
from phasescope.reports.kit.panels import Control, Panel, Part, variants
from phasescope.reports.kit.tables import Tables
from phasescope.reports.phases.bands import with_bands

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    Attends = Mapping[int, tuple[str, str]]


_MEDIAN = "median"


_ESTIMATOR = Control("estimator", "CKA estimator", [("biased", "biased"), ("debiased", "debiased")])


def convergence_part(size: str, tables: Tables, told: Attends | None = None) -> Part:
    """told: how far each layer attends, and how it knows of positions, which maps of attention mark."""
    table = tables["convergence"]
    title, key = "Convergence to the final state", "convergence"
    intro = "How close each layer already is to what it is at the last step: 1 is there, 0 is nothing in common."
    why = no_trajectory(table, "cka", "CKA", tables.why("convergence"))
    if why:
        return Part(key, title, intro, notes=[why])
    here = tidy.integers(table["seed"])
    choices = [(_MEDIAN, f"median of {len(here)} seeds")] if len(here) > 1 else []
    choices += [(str(seed), f"seed {seed}") for seed in here]
    controls = [Control("seed", "Seed", choices), _ESTIMATOR]
    panels, notes = [], []
    for component in tidy.ordered_components(table["component"].unique()):
        mine = tidy.of(table, component=component)
        settled = tidy.of(tables["settling"], component=component, tau=tau_of(tables))
        if mine["cka"].notna().any():
            panel = _heatmap_panel(size, component, mine, settled, controls, tau_of(tables))
            marked = with_marks(panel, told or {}) if component in ATTENTION else panel
            panels.append(with_bands(marked, tables, above))
        else:
            notes.append(no_cka(component, mine))
    return Part(key, title, intro, panels, notes=notes, controls=controls if panels else [])


def _heatmap_panel(
    size: str, component: str, table: pd.DataFrame, settled: pd.DataFrame, controls: list[Control], tau: float
) -> Panel:
    settled = tidy.whole(settled)
    marked = bool(settled["settling_step"].notna().any())
    of_seed = {seed: tidy.of(table, seed=seed) for seed in tidy.integers(table["seed"])}
    settled_of = {seed: tidy.of(settled, seed=seed) for seed in of_seed}

    @functools.cache
    def rings(one: int | None, layers: tuple[int, ...]) -> dict[str, list[Any]]:
        """Whatever the estimator."""
        return settling_marks(settled if one is None else settled_of[one], layers, size, component, tau=tau)

    def patch(seed: str, estimator: str) -> list[dict[str, Any]] | None:
        one = None if seed == _MEDIAN else int(seed)
        grid = convergence_grid(table if one is None else of_seed[one], size, component, estimator=estimator)
        if grid.empty:
            return None
        # A seed may lack steps or layers that the others have, so the whole grid is replaced.
        places, rows = [steps_axis.position(step) for step in grid.steps], list(range(len(grid.rows)))
        cells = {"x": places, "y": rows, "z": grid.values, "meta": {"steps": grid.steps, "rows": row_names(grid)}}
        if not marked:
            return [cells]
        return [cells, rings(one, tuple(layer for layer, _ in grid.rows))]

    figure = convergence_heatmap(table, size, component, settling=settled if marked else None, tau=tau)
    caption = captions.heatmap(table, component, tau=tau, marked=marked)
    return Panel(component, caption, figure, ("seed", "estimator"), variants(controls, patch), source="convergence")


def heads_parts(size: str, tables: Tables, told: Attends | None = None) -> list[Part]:
    """A map of every head; `told` as of `convergence_part`."""
    table = tidy.heads(tables["convergence"])
    if no_trajectory(table, "cka", "CKA"):
        return []
    components = tidy.ordered_components(table.loc[table["cka"].notna(), "component"].unique())
    panels = [
        with_bands(
            with_marks(_heads_panel(size, component, tidy.of(table, component=component)), told or {}), tables, above
        )
        for component in components
    ]
    intro = "The same, for every attention head on its own."
    return [Part("heads", "Heads", intro, panels, controls=[_ESTIMATOR])] if panels else []


def _heads_panel(size: str, component: str, table: pd.DataFrame) -> Panel:
    def patch(estimator: str) -> list[dict[str, Any]] | None:
        grid = convergence_grid(table, size, component, estimator=estimator, per_head=True)
        return None if grid.empty else [{"z": grid.values}]

    figure = head_heatmap(table, size, component)
    caption = captions.head_map(table, component)
    return Panel(
        f"{component} by head", caption, figure, ("estimator",), variants([_ESTIMATOR], patch), source="convergence"
    )
