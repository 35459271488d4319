"""What one size of model gets: convergence, heads, settling, rank, gradients, behaviour, heuristics, minimal pairs."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports import captions, figures, steps_axis, tidy
from phasescope.reports.absences import no_cka, no_kl, no_surprisal, no_trajectory
from phasescope.reports.drawing import Drawing
from phasescope.reports.figures.bands import above, behind_wordless
from phasescope.reports.figures.convergence import convergence_grid, row_names, settling_marks
from phasescope.reports.gradients import gradients_parts
from phasescope.reports.heuristics import heuristics_part
from phasescope.reports.link import link_part
from phasescope.reports.minimal_pairs import minimal_pairs_part
from phasescope.reports.panels import Control, Panel, Part, tau_control, traces_of, variants
from phasescope.reports.phases import phases_part, with_bands
from phasescope.reports.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

_MEDIAN = "median"
_RANKS = (
    ("W_in", "weight"),
    ("W_out", "weight"),
    ("OV", "circuit"),
    ("QK", "circuit"),
    ("in_proj", "weight"),
    ("out_proj", "weight"),
)
_MORE_RANKS = tuple((name, "weight") for name in ("W_gate", "W_Q", "W_K", "W_V", "W_R", "W_O", "x_proj", "dt_proj"))
_ESTIMATOR = Control("estimator", "CKA estimator", [("biased", "biased"), ("debiased", "debiased")])


def size_parts(size: str, tables: Tables, seeds: Sequence[int], seeds_here: int) -> list[Part]:
    """The parts about one size.

    Args:
        tables: the rows of that size.
        seeds: all seeds of the run, so that each keeps its colour.
        seeds_here: how many seeds this size has.
    """
    return [
        _convergence(size, tables),
        *_heads(size, tables),
        _settling(size, tables, seeds),
        _rank(size, tables),
        *gradients_parts(size, tables, seeds),
        _behaviour(size, tables, seeds, seeds_here),
        heuristics_part(size, tables),
        minimal_pairs_part(size, tables),
        phases_part(size, tables),
        link_part(size, tables),
    ]


def _convergence(size: str, tables: Tables) -> Part:
    table = tables.convergence
    title, key = "Convergence to the final state", "convergence"
    intro = "How close each layer already is to what it is at the last step: 1 is there, 0 is nothing in common."
    why = no_trajectory(table, "cka", "CKA", tables.why_missing.get("convergence", ""))
    if why:
        return Part(key, title, intro, notes=[why])
    here = tidy.integers(table["seed"])
    choices = [(_MEDIAN, f"median of {len(here)} seeds")] if len(here) > 1 else []
    choices += [(str(seed), f"seed {seed}") for seed in here]
    controls = [Control("seed", "Seed", choices), _ESTIMATOR]
    panels, notes = [], []
    for component in tidy.ordered_components(table["component"].unique()):
        mine = tidy.of(table, component=component)
        settled = tidy.of(tables.settling, component=component, tau=tables.tau)
        if mine["cka"].notna().any():
            panel = _heatmap_panel(size, component, mine, settled, controls, tables.tau)
            panels.append(with_bands(panel, tables, above))
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

    figure = figures.convergence_heatmap(table, size, component, settling=settled if marked else None, tau=tau)
    caption = captions.heatmap(table, component, tau=tau, marked=marked)
    return Panel(component, caption, figure, ("seed", "estimator"), variants(controls, patch), source="convergence")


def _heads(size: str, tables: Tables) -> list[Part]:
    table = tidy.heads(tables.convergence)
    if no_trajectory(table, "cka", "CKA"):
        return []
    components = tidy.ordered_components(table.loc[table["cka"].notna(), "component"].unique())
    panels = [
        with_bands(_heads_panel(size, component, tidy.of(table, component=component)), tables, above)
        for component in components
    ]
    intro = "The same, for every attention head on its own."
    return [Part("heads", "Heads", intro, panels, controls=[_ESTIMATOR])] if panels else []


def _heads_panel(size: str, component: str, table: pd.DataFrame) -> Panel:
    def patch(estimator: str) -> list[dict[str, Any]] | None:
        grid = convergence_grid(table, size, component, estimator=estimator, per_head=True)
        return None if grid.empty else [{"z": grid.values}]

    figure = figures.head_heatmap(table, size, component)
    caption = captions.head_map(table, component)
    return Panel(
        f"{component} by head", caption, figure, ("estimator",), variants([_ESTIMATOR], patch), source="convergence"
    )


def _settling(size: str, tables: Tables, seeds: Sequence[int]) -> Part:
    title, key = "When layers settle", "settling"
    intro = "The first step from which a layer stays close to its final state."
    why = no_trajectory(tables.convergence, "cka", "CKA", tables.why_missing.get("settling", ""))
    if why or tables.settling.empty:
        return Part(key, title, intro, notes=[why or f"No settling steps were computed for {size}."])
    steps = tidy.integers(tables.convergence["step"])
    control = tau_control(tables)
    panels, notes = [], []
    for component in tidy.ordered_components(tables.settling["component"].unique()):
        mine = tidy.of(tables.settling, component=component)
        measured = tidy.of(tidy.whole(tables.convergence), component=component)["cka"].notna().any()
        if measured and len(tidy.whole(mine)):
            panels.append(
                with_bands(_settling_panel(size, component, mine, steps, seeds, control), tables, behind_wordless)
            )
        else:
            notes.append(no_cka(component, tidy.of(tables.convergence, component=component)))
    return Part(
        key, title, intro, panels, notes=notes, controls=[control] if panels and len(control.options) > 1 else []
    )


def _settling_panel(
    size: str, component: str, table: pd.DataFrame, steps: list[int], seeds: Sequence[int], control: Control
) -> Panel:
    def draw(tau: str) -> Drawing:
        return figures.settling_figure(table, size, component, tau=float(tau), steps=steps, seeds=seeds)

    figure = draw(control.options[0][0])
    others = variants([control], lambda tau: traces_of(draw(tau)))
    return Panel(component, captions.settling(table, component), figure, ("tau",), others, source="settling")


def _rank(size: str, tables: Tables) -> Part:
    title, key = "Effective rank", "rank"
    intro = "How much of the room it has a matrix, a circuit or a layer's output uses: 1 is all directions alike."
    rank = tables.rank
    why = no_trajectory(rank, "proportional", "effective rank", tables.why_missing.get("rank", ""))
    if why:
        return Part(key, title, intro, notes=[why])
    activations = rank[rank["kind"] == "activation"]["component"].unique()
    shown = [*_RANKS, *((component, "activation") for component in tidy.ordered_components(activations))]
    panels = [panel for wanted in shown if (panel := _rank_panel(size, tables, *wanted))]
    more = [panel for wanted in _MORE_RANKS if (panel := _rank_panel(size, tables, *wanted))]
    ends = rank[rank["component"].isin(["W_E", "W_U"])]
    if ends["proportional"].notna().any():
        caption = captions.rank(ends, "embedding W_E and unembedding W_U", "weight")
        panel = Panel("W_E and W_U", caption, figures.embedding_rank_figure(ends, size), source="rank")
        more.append(with_bands(panel, tables, behind_wordless))
    weights = rank["kind"].isin(["weight", "circuit"]).any()
    notes = [] if weights else ["The run holds no spectra of weights: models that are read remotely keep them there."]
    return Part(key, title, intro, panels, notes=notes, folded=more, folded_title="Rank of the other weight matrices")


def _rank_panel(size: str, tables: Tables, component: str, kind: str) -> Panel | None:
    mine = tidy.of(tables.rank, component=component, kind=kind)
    if mine["proportional"].notna().sum() == 0:
        return None
    title = f"{component} ({'activations' if kind == 'activation' else kind})"
    figure = figures.rank_figure(mine, size, component, kind=kind)
    panel = Panel(title, captions.rank(mine, component, kind), figure, source="rank")
    return with_bands(panel, tables, behind_wordless)


def _behaviour(size: str, tables: Tables, seeds: Sequence[int], seeds_here: int) -> Part:
    title, key = "Behaviour", "behaviour"
    intro = "What the models do with the text, and how far apart the seeds are in what they predict."
    panels, notes = [], []
    surprisal, kl = tables.surprisal, tables.seeds
    why = no_surprisal(surprisal, tables.why_missing.get("surprisal", ""))
    if why:
        notes.append(why)
    else:
        figure = figures.surprisal_figure(surprisal, size, seeds=seeds)
        panel = Panel("Surprisal", captions.surprisal(surprisal), figure, source="surprisal")
        panels.append(with_bands(panel, tables))
    why = no_kl(tables, seeds_here)
    if why:
        notes.append(why)
    else:
        panel = Panel("KL between seeds", captions.kl(kl), figures.kl_figure(kl, [size]), source="seeds")
        panels.append(with_bands(panel, tables))
    return Part(key, title, intro, panels, notes=notes)
