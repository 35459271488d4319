"""What the analyses found, as tables: one view for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled, pooled_seeds
from phasescope.reports import cells, tidy
from phasescope.reports.terminal.asked import in_context_learning_table, multiple_choice_table, noise_table
from phasescope.reports.terminal.evaluations import evaluations_table
from phasescope.reports.terminal.heuristics import agreement_table, heuristics_table
from phasescope.reports.terminal.link import link_view
from phasescope.reports.terminal.minimal_pairs import minimal_pairs_table
from phasescope.reports.terminal.phases import phases_table
from phasescope.reports.terminal.seeds import seeds_view
from phasescope.reports.terminal.trajectories import trajectories_view

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table

# In the order in which they are shown; what else has a rank is an activation, or belongs to no layer.
_WEIGHTS = (
    "W_in", "W_gate", "W_out", "OV", "QK", "W_Q", "W_K", "W_V", "W_R", "W_O", "in_proj", "x_proj", "dt_proj", "out_proj"
)  # fmt: skip


UNSEEN = "No: not seen to settle, as CKA was not surely below τ at first, or is as high with texts that do not match."


def table_view(name: str, tables: Callable[[str], pd.DataFrame], *, tau: float = 0.9) -> RenderableType:
    """The view of an analysis of that name; `tables` gives a table by its name."""
    views: dict[str, Callable[[], RenderableType]] = {
        "convergence": lambda: settling_table(tables("settling"), tables("convergence"), tau=tau),
        "rank": lambda: rank_table(tables("rank")),
        "surprisal": lambda: surprisal_table(tables("surprisal")),
        "seeds": lambda: seeds_view(seeds_table(tables("seeds")), tables),
        "gradients": lambda: gradients_table(tables("gradients")),
        "trajectories": lambda: trajectories_view(tables),
        "heuristics": lambda: heuristics_table(
            tables("heuristics"), tables("heuristic_peaks"), tables("heuristic_fit")
        ),
        "agreement": lambda: agreement_table(tables("agreement")),
        "minimal_pairs": lambda: minimal_pairs_table(tables("minimal_pairs")),
        "noise": lambda: noise_table(tables("noise")),
        "multiple_choice": lambda: multiple_choice_table(tables("multiple_choice")),
        "in_context_learning": lambda: in_context_learning_table(tables("in_context_learning")),
        "evaluations": lambda: evaluations_table(tables("evaluations")),
        "phases": lambda: phases_table(tables),
        "link": lambda: link_view(tables),
    }
    if name not in views:
        raise ValueError(f"there is a view of {', '.join(views)}, not of {name!r}")
    return views[name]()


def settling_table(settling: pd.DataFrame, convergence: pd.DataFrame, *, tau: float = 0.9) -> RenderableType:
    """Per size, component and layer: CKA to the final state along training, and when it settles at τ.

    The sparkline runs from the first to the last step, from 0 to 1. Brackets: range over seeds (one seed: its 95 %
    interval). "never": not before the last step; "no": CKA was not surely below τ at the first step, or texts that do
    not match reach τ too.
    """
    from rich.console import Group

    settling, convergence = tidy.whole(settling), tidy.whole(convergence)
    parts: list[RenderableType] = []
    for size in dict.fromkeys(convergence["size"]):
        curves = tidy.of(convergence, size=size)
        table = cells.table(
            f"{size}: when layers settle (CKA ≥ {tau:g})",
            "site",
            "CKA, first to last step",
            ">settles at step",
            ">of training",
            caption=_between(curves),
        )
        settled = tidy.median_settling(tidy.of(settling, size=size, tau=tau))
        if not settled["moved"].all():
            table.caption = f"{table.caption} {UNSEEN}"
        for component in tidy.ordered_components(curves["component"].unique()):
            grid = tidy.grid(tidy.of(curves, component=component), "cka")
            mine = tidy.of(settled, component=component).set_index("layer")
            for (layer, _), values in zip(grid.rows, grid.values, strict=True):
                curve = cells.sparkline(values, 0, 1)
                table.add_row(f"L{layer}.{component}", curve, *_settles(mine, layer, values, tau))
            table.add_section()
        parts += [table, ""]
    return Group(*parts[:-1]) if parts else _nothing("convergence")


def rank_table(rank: pd.DataFrame) -> RenderableType:
    """Per size, layer and component: proportional effective rank at the first and the last step, median over seeds."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for size in dict.fromkeys(rank["size"]):
        of_size = tidy.of(rank, size=size)
        here = pooled(of_size)
        layered = here[here["layer"].notna()]
        present = set(layered["component"])
        activations = tidy.ordered_components(present - set(_WEIGHTS))
        names = [*(name for name in _WEIGHTS if name in present), *activations]
        # Four columns are what 80 characters hold.
        parts += [_rank_block(size, layered, names[i : i + 4]) for i in range(0, len(names), 4)]
        ends = sorted(set(here["component"]) - present)
        if ends:
            row = [f"{name} {_from_to(tidy.of(here, component=name))}" for name in ends]
            parts.append(cells.plain(f"{size}: " + ", ".join(row)))
        steps = tidy.integers(here["step"])
        also = "and heads" if here["head"].notna().any() else ""
        text = f"From step {steps[0]} to {steps[-1]}; {_middle(of_size, also)}."
        parts += [cells.plain(text), ""]
    return Group(*parts[:-1]) if parts else _nothing("rank")


def surprisal_table(surprisal: pd.DataFrame) -> RenderableType:
    """Per size and seed: surprisal at the first and the last step, beside the unigram's."""
    if surprisal.empty:
        return _nothing("surprisal")
    table = cells.table(
        "Surprisal (nats per token)",
        "size",
        ">seed",
        ">first",
        "along",
        f">last [{tidy.level(surprisal)}]",
        ">unigram",
        ">perplexity",
        caption=_steps_caption(surprisal["step"]),
    )
    for size in dict.fromkeys(surprisal["size"]):
        for seed in tidy.integers(tidy.of(surprisal, size=size)["seed"]):
            curve = tidy.of(surprisal, size=size, seed=seed).sort_values("step")
            first, last = curve.iloc[0], curve.iloc[-1]
            table.add_row(
                cells.plain(size),
                str(seed),
                cells.number(first["surprisal"], 2),
                cells.sparkline(curve["surprisal"]),
                cells.with_interval(last["surprisal"], last["low"], last["high"]),
                cells.number(last["unigram"], 2),
                cells.number(last["perplexity"], 1) if "perplexity" in curve else "",
            )
        table.add_section()
    return table


def seeds_table(seeds: pd.DataFrame) -> RenderableType:
    """Per size: expected KL between seeds, first, at its peak, and last."""
    known = seeds[seeds["kl"].notna()]
    if known.empty:
        return _nothing("KL between seeds: it needs two or more seeds of one size, captured without --remote")
    table = cells.table(
        "Expected KL between seeds (nats per token)",
        "size",
        ">seeds",
        ">first",
        "along",
        ">peak",
        ">at step",
        f">last [{tidy.level(known)} interval]",
        caption=_steps_caption(known["step"]),
    )
    for size in dict.fromkeys(known["size"]):
        curve = tidy.of(known, size=size).sort_values("step")
        last, peak = curve.iloc[-1], curve.iloc[int(curve["kl"].argmax())]
        table.add_row(
            cells.plain(size),
            str(int(last["seeds"])),
            cells.number(curve["kl"].iloc[0]),
            cells.sparkline(curve["kl"], low=0),
            cells.number(peak["kl"]),
            str(int(peak["step"])),
            cells.with_interval(last["kl"], last["low"], last["high"], 3),
        )
    return table


def gradients_table(gradients: pd.DataFrame) -> RenderableType:
    """Per size and layer, of the MLP's output matrix or what stands in its place: from the first to the last step."""
    from rich.console import Group

    if gradients.empty:
        return _nothing("gradient")
    parts: list[RenderableType] = []
    for size in dict.fromkeys(gradients["size"]):
        of_size = tidy.of(gradients, size=size)
        here = pooled(of_size)
        layered = tidy.whole(here[here["layer"].notna() & here["proportional"].notna()])
        present = list(dict.fromkeys(layered["component"]))
        component = next((name for name in ("W_out", "out_proj", *present) if name in present), "")
        table = cells.table(
            f"{size}: gradients of {component}",
            "layer",
            ">norm / weight",
            "along",
            ">rank",
            ">batches",
            ">steps",
            caption="Norm of a batch's gradient over that of the matrix; proportional effective rank; cosine with the "
            "batch and with the checkpoint before.",
        )
        for layer in tidy.integers(layered["layer"]):
            mine = tidy.of(layered, component=component, layer=layer)
            ratio = mine.groupby("step")["ratio"].median()
            table.add_row(
                f"L{layer}",
                f"{ratio.iloc[0]:.2g} → {ratio.iloc[-1]:.2g}",
                cells.sparkline(ratio, at_most=10),
                *(_from_to_of(mine, value, 2) for value in ("proportional", "cosine", "cosine_previous")),
            )
        steps, whole = tidy.integers(here["step"]), tidy.of(here, kind="model").groupby("step")["norm"].median()
        middle = _middle(of_size, "")
        text = f"Whole gradient {whole.iloc[0]:.3g} → {whole.iloc[-1]:.3g}. Step {steps[0]} to {steps[-1]}; {middle}."
        parts += [table, cells.plain(text), ""]
    return Group(*parts[:-1])


def _rank_block(size: str, rank: pd.DataFrame, components: list[str]) -> Table:
    """Layers down, a few components across, each from its first to its last value."""
    table = cells.table(f"{size}: proportional effective rank", "layer", *(f">{name}" for name in components))
    parts = {name: tidy.of(rank, component=name) for name in components}
    for layer in tidy.integers(rank["layer"]):
        table.add_row(f"L{layer}", *(_from_to(tidy.of(part, layer=layer)) for part in parts.values()))
    return table


def _from_to(rank: pd.DataFrame) -> str:
    whole = tidy.whole(rank)
    return _from_to_of(rank if whole.empty else whole, "proportional", 3)


def _from_to_of(table: pd.DataFrame, value: str, digits: int) -> str:
    """The first and the last number of a curve, median over whatever else there is."""
    curve = table.groupby("step")[value].median().dropna().to_list()
    return f"{cells.number(curve[0], digits)} → {cells.number(curve[-1], digits)}" if curve else "–"


def _settles(
    settled: pd.DataFrame, layer: int, values: list[float | None], tau: float
) -> tuple[RenderableType, RenderableType]:
    """The two cells about settling of a layer."""
    if layer not in settled.index or all(value is None for value in values):
        return "no CKA", ""
    row = settled.loc[layer]
    share = f"{100 * row['fraction']:.0f} %" if cells.known(row["fraction"]) else ""
    if not any(cells.known(row[name]) for name in ("median", "low", "high")):
        return "never", ""
    if not row["moved"]:
        return f"no: {tidy.settled_from_start(settled.loc[[layer]], tau).removeprefix('CKA ')}", ""
    return cells.plain(f"{cells.step(row['median'])} [{cells.step(row['low'])}, {cells.step(row['high'])}]"), share


def _between(table: pd.DataFrame) -> str:
    seeds = pooled_seeds(table)
    what = f"Median of {seeds} seeds, [range]" if seeds > 1 else "One seed, [bootstrap interval]"
    return f"{what}{_without(table)}."


def _middle(table: pd.DataFrame, also: str) -> str:
    seeds = pooled_seeds(table)
    if seeds > 1:
        return f"median over {seeds} seeds {also}".rstrip() + _without(table)
    return (f"one seed, median over {also.removeprefix('and ')}" if also else "one seed") + _without(table)


def _without(table: pd.DataFrame) -> str:
    return f"; {told}" if (told := left_out(table)) else ""


def _steps_caption(steps: pd.Series[int]) -> str:
    present = tidy.integers(steps)
    if len(present) == 1:
        return f"Only step {present[0]} was captured."
    return f"{len(present)} steps from {present[0]} to {present[-1]}."


def _nothing(what: str) -> RenderableType:
    return cells.plain(f"There is no {what} in this run.")
