"""How experts are used, in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from phasescope.reports.kit.answer import TablesByName


def experts_view(tables: TablesByName) -> RenderableType:
    """Per size and layer, median over seeds: when routing settles, how even the load is, which tokens are apart."""
    import numpy as np
    from rich.console import Group

    experts = tables("experts")
    if experts.empty:
        return cells.plain(str(experts.attrs.get("absent") or "No choices of experts were recorded."))
    settling, by, seeds = (tables(name) for name in ("experts_settling", "experts_by", "expert_seeds"))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(experts["size"]):
        here = tidy.of(experts, size=size)
        last = int(here["step"].max())
        table = cells.table(
            f"{size}: experts",
            "layer",
            ">settled",
            "agreement",
            ">τ 0.8 at",
            ">even",
            ">dead",
            ">seeds",
            "own tokens",
            caption="Share of a token's experts at the checkpoint before the last that are those of the last (and by "
            "chance), and along training; entropy of the load over its largest, experts never chosen, at the last "
            "step; share that two seeds have in common once experts are matched (and by chance); the group of tokens "
            "whose experts are furthest from those of all.",
        )
        for layer in tidy.integers(here["layer"]):
            mine = tidy.of(here, layer=layer)
            agreement = tidy.of(mine, measure="agreement").groupby("step")[["value", "chance"]].median()
            before = agreement.iloc[-2] if len(agreement) > 1 else agreement.iloc[-1]
            entropy, dead = (tidy.of(mine, measure=name, step=last)["value"].median() for name in ("entropy", "dead"))
            pairs = tidy.of(seeds, size=size, layer=layer, step=last)
            settled = tidy.of(settling, size=size, layer=layer)
            at = settled[settled["tau"] == settled["tau"].min()]["settling_step"].median() if len(settled) else np.nan
            table.add_row(
                f"L{layer}",
                f"{cells.number(before['value'], 2)} ({cells.number(before['chance'], 2)})",
                cells.sparkline(agreement["value"], 0, 1, at_most=10),
                cells.number(at, 0),
                cells.number(entropy / np.log(int(mine["experts"].max())), 2),
                cells.number(dead, 0),
                f"{cells.number(pairs['value'].median(), 2)} ({cells.number(pairs['chance'].median(), 2)})"
                if len(pairs)
                else "",
                cells.plain(_own_tokens(tidy.of(by, size=size, layer=layer, step=last))),
            )
        parts += [table, ""]
    return Group(*parts[:-1])


def _own_tokens(by: pd.DataFrame) -> str:
    """The group that is furthest from all, beyond chance, of those that are sure of it."""
    means = by.groupby(["by", "group"], sort=False)[["value", "low", "chance"]].median().reset_index()
    means = means[means["low"] > means["chance"]]
    if means.empty:
        return ""
    return str(means["group"].iloc[int((means["value"] - means["chance"]).to_numpy().argmax())])
