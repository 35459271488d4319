"""One layer, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports import cells, steps_axis, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table


def layer_view(
    convergence: pd.DataFrame, settling: pd.DataFrame, title: str, *, rank: pd.DataFrame | None = None
) -> RenderableType:
    """One layer: CKA to its final state step by step, when it settles, and the rank of its activations.

    Args:
        convergence: rows of one site: seed, step, cka, reason.
        settling: rows of the same site: seed, tau, settling_step, low, high, last_step.
        title: of the site, as in `L3.mlp_out of 14m`.
        rank: rows of the same site: seed, step, proportional.
    """
    from rich.console import Group

    parts: list[RenderableType] = [_along(title, convergence, rank)]
    if len(settling):
        table = cells.table("Settles", ">τ", ">seed", ">at step", f"{tidy.level(settling)} interval", ">of training")
        for tau in sorted(settling["tau"].unique()):
            for row in tidy.of(settling, tau=tau).sort_values("seed").to_dict("records"):
                settled, last = row["settling_step"], row["last_step"]
                share = f"{100 * int(settled) / last:.0f} %" if cells.known(settled) and last else ""
                edges = f"[{cells.step(row['low'])}, {cells.step(row['high'])}]"
                table.add_row(f"{tau:g}", str(row["seed"]), cells.step(settled), cells.plain(edges), share)
            table.add_section()
        parts += ["", table]
    why = tidy.reasons(convergence)
    if why:
        parts += ["", cells.plain(f"Without CKA: {tidy.listing(why)}.")]
    return Group(*parts)


def _along(title: str, convergence: pd.DataFrame, rank: pd.DataFrame | None) -> Table:
    seeds, steps = tidy.integers(convergence["seed"]), tidy.integers(convergence["step"])
    ranked = rank is not None and len(rank) > 0
    columns = [">step", *(f">seed {seed}" for seed in seeds[:6]), *([">rank"] if ranked else [])]
    note = f" (of {len(seeds)} seeds the first 6)" if len(seeds) > 6 else ""
    caption = f"CKA to the final state{note}, sparklines from 0 to 1"
    caption += "; rank: proportional effective rank, median over seeds." if ranked else "."
    table = cells.table(title, *columns, caption=caption)
    curves = {seed: tidy.of(convergence, seed=seed).set_index("step")["cka"] for seed in seeds[:6]}
    ranks: Any = rank.groupby("step")["proportional"].median() if rank is not None and ranked else {}
    table.add_row(
        "all",
        *(cells.sparkline(curve.reindex(steps), 0, 1, at_most=12) for curve in curves.values()),
        *([cells.sparkline([ranks.get(step) for step in steps], at_most=12)] if ranked else []),
    )
    table.add_section()
    for step in steps_axis.thin(steps, 24):
        values = [cells.number(curve.get(step)) for curve in curves.values()]
        table.add_row(str(step), *values, *([cells.number(ranks.get(step))] if ranked else []))
    return table
