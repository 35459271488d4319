"""The link in the terminal: where layers do their moving, and whether they lead or lag."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.reports.kit import cells, steps_axis, tidy
from phasescope.reports.phases.chosen import MAIN_CURVES, curve_name

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table

_BESIDE = 4
"""So many phases have room in 80 columns with their intervals beside the numbers; of more these stand below."""


def link_view(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Per size: shares of moving by phase of KL or surprisal, sure lags, the first fifth; and what rank explains."""
    from rich.console import Group

    shares, lags, fifth = tables("link_shares"), tables("link_lags"), tables("first_fifth")
    if shares.empty and lags.empty:
        return cells.plain(str(shares.attrs.get("absent") or "There is nothing to link in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys([*shares["size"], *lags["size"]]):
        curve = _curve(tidy.of(shares, size=size))
        if curve:
            parts += [_shares(size, tidy.of(shares, size=size, curve=curve), curve), ""]
        parts += [_lags(size, tidy.of(lags, size=size)), ""]
        if sentence := _fifth(size, tidy.of(fifth, size=size)):
            parts += [cells.plain(sentence), ""]
    parts += [cells.plain(sentence) for sentence in rank_sentences(tables("link_rank"))]
    return Group(*parts)


def rank_sentences(rank: pd.DataFrame) -> list[str]:
    """What the mixed models say of rank, or why they say nothing."""
    models = rank[rank["method"] == "mixed model"]
    found = []
    for row in models[models["term"] == "rank"].to_dict("records"):
        what = "when it settles" if row["outcome"] == "settling" else "how far it moves back after settling"
        about = f"Rank of {row['weight']} and {what} ({row['component']}): "
        if row["reason"]:
            found.append(f"{about}no model, {row['reason']}.")
            continue
        unit = "ln steps" if row["outcome"] == "settling" else "CKA"
        found.append(
            f"{about}{row['estimate']:+.2g} [{row['low']:.2g}, {row['high']:.2g}] {unit} per standard deviation "
            f"of rank, p = {row['p']:.2g} ({counted(int(row['layers']), 'layer')}, "
            f"{counted(int(row['seeds']), 'seed')})."
        )
    return found


def _curve(shares: pd.DataFrame) -> str:
    together = shares[shares["seed"].isna()]
    return next((name for name in MAIN_CURVES if tidy.of(together, curve=name)["phase"].nunique() > 1), "")


def _shares(size: str, shares: pd.DataFrame, curve: str) -> Table:
    together = shares[shares["seed"].isna()]
    phases = together.drop_duplicates("phase").sort_values("phase").to_dict("records")
    seeds = int(together["seeds"].max())
    named = "; ".join(f"{row['phase'] + 1}: {row['label']}, {_span(row)}" for row in phases)
    table = cells.table(
        f"{size}: share of moving by phase of {curve_name(curve)} (%)",
        "site",
        *(f">{row['phase'] + 1}" for row in phases),
        caption=f"Phases {named}. Mean of {seeds} seed{'s' if seeds != 1 else ''} [{tidy.level(together)} interval].",
    )
    for (_, component, layer), rows in _by_site(together):
        by_phase = {row["phase"]: row for row in rows.to_dict("records")}
        found = [_share(by_phase.get(row["phase"]), beside=len(phases) <= _BESIDE) for row in phases]
        table.add_row(f"L{layer}.{component}", *found)
    return table


def _by_site(table: pd.DataFrame) -> list[tuple[tuple[int, str, int], pd.DataFrame]]:
    order = {name: place for place, name in enumerate(tidy.ordered_components(table["component"].unique()))}
    groups = table.groupby(["component", "layer"], sort=False)
    found = [((order[str(component)], str(component), int(rows["layer"].iloc[0])), rows)
             for (component, _), rows in groups]  # fmt: skip
    return sorted(found, key=lambda pair: (pair[0][0], pair[0][2]))


def _share(row: Any, *, beside: bool) -> RenderableType:
    from rich.console import Group

    if row is None or not cells.known(row["share"]):
        return "–"
    share = f"{round(100 * row['share'])}"
    if not cells.known(row["low"]):
        return share
    interval = f"[{round(100 * row['low'])}, {round(100 * row['high'])}]"
    return cells.plain(f"{share} {interval}") if beside else Group(share, cells.plain(interval))


def _lags(size: str, lags: pd.DataFrame) -> RenderableType:
    """The curves a layer surely leads or follows; where there is none, why, or that there is none."""
    sure = lags[lags["significant"].astype(bool)]
    if sure.empty:
        reasons = [reason for reason in lags["reason"].unique() if reason and not reason.startswith("the longest")]
        why = reasons[0] if reasons else "no layer's speed is linked to that of any curve beyond chance"
        return cells.plain(f"{size}: lead or lag: {why}.")
    tested = int(lags["q"].notna().sum())
    table = cells.table(
        f"{size}: lead (below 1) or lag (above 1), as a factor in steps",
        "site",
        "curve",
        f">factor [{tidy.level(sure)} interval]",
        ">correlation",
        ">q",
        caption=f"{len(sure)} of {tested} pairs are more than chance: seeds exchanged, corrected for all pairs.",
    )
    for row in sure.sort_values("q").head(20).to_dict("records"):
        factor = cells.with_interval(row["factor"], row["factor_low"], row["factor_high"])
        site = f"L{row['layer']}.{row['component']}"
        table.add_row(site, curve_name(row["curve"]), factor, cells.number(row["correlation"], 2), f"{row['q']:.2g}")
    return table


def _fifth(size: str, fifth: pd.DataFrame) -> str:
    rows = tidy.of(fifth, component="all")
    rows = rows[rows["share"].notna()]
    if rows.empty:
        return ""
    told = [
        f"{100 * row['share']:.0f} %"
        + (f" [{100 * row['low']:.0f}, {100 * row['high']:.0f}]" if cells.known(row["low"]) else "")
        + f" at τ = {row['tau']:g}"
        for row in rows.sort_values("tau").to_dict("records")
    ]
    moved = " (of sites that moved)" if (rows["unmoved"] > 0).any() else ""
    without = f"; {rows['left_out'].iloc[0]}" if rows["left_out"].iloc[0] else ""
    return f"{size}: settled within the first fifth of training{moved}: {tidy.listing(told)}{without}."


def _span(row: dict[Any, Any]) -> str:
    return f"{steps_axis.label(round(row['start']))}–{steps_axis.label(round(row['end']))}"
