"""What layers would predict, in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

_SHOWN = {"kl": (">KL (nats)", 2), "agreement": (">agrees", 2), "probability": (">p right", 3), "rank": (">rank", 0)}


def lens_view(tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """Per size and lens the layers at the first and last step; when predictions are fixed; what speaks for them."""
    from rich.console import Group

    lens, depth, attribution = (tables(name) for name in ("lens", "lens_depth", "attribution"))
    if lens.empty:
        return cells.plain(str(lens.attrs.get("absent") or "No model of this run was looked at through the lens."))
    parts: list[RenderableType] = []
    for (size, one), rows in lens.groupby(["size", "lens"], sort=False):
        parts += [_layers(str(size), str(one), rows), ""]
    parts.append(_depths(depth))
    if not attribution.empty:
        parts += ["", _parts(attribution)]
    return Group(*parts)


def _layers(size: str, lens: str, rows: pd.DataFrame) -> RenderableType:
    made = cells.table(
        f"{size}: the {lens} lens",
        "after",
        *(title for title, _ in _SHOWN.values()),
        caption=f"First → last step; {cells.middle(rows, '')}; {counted(int(rows['tokens'].max()), 'token')}. "
        "KL of the model's output from the lens; rank: geometric mean.",
    )
    here = pooled(rows)
    for layer in tidy.integers(here["layer"]):
        mine = tidy.of(here, layer=layer)
        numbers = (cells.from_to(tidy.of(mine, score=score), "value", digits) for score, (_, digits) in _SHOWN.items())
        made.add_row("embedding" if layer < 0 else f"L{layer}", *numbers)
    return made


def _depths(depth: pd.DataFrame) -> RenderableType:
    made = cells.table(
        "When the prediction is fixed",
        "size",
        ">seed",
        "lens",
        "along",
        ">first",
        ">last",
        ">another token",
        caption="Layers read until the likeliest token is the model's own and stays it; another token: the same of "
        f"what the model says elsewhere. [{tidy.level(depth)} interval]",
    )
    for (size, seed, lens), rows in depth.groupby(["size", "seed", "lens"], sort=False):
        curve = rows.sort_values("step")
        last = curve.iloc[-1]
        made.add_row(
            cells.plain(size),
            str(seed),
            str(lens),
            cells.sparkline(curve["depth"], 0, float(last["layers"])),
            cells.number(curve["depth"].iloc[0], 1),
            cells.with_interval(last["depth"], last["low"], last["high"], 1),
            cells.number(last["shuffled"], 1),
        )
    return made


def _parts(attribution: pd.DataFrame) -> RenderableType:
    made = cells.table(
        "What adds to the logit of the right token",
        "size",
        "part",
        ">first → last",
        ">another token",
        caption=f"Logits against the mean over the vocabulary, {cells.middle(attribution, '')}; the five parts of "
        "each size that add most at the last step.",
    )
    for size, rows in pooled(attribution).groupby("size", sort=False):
        last = tidy.of(rows, step=int(rows["step"].max()))
        most = last.groupby("part", sort=False)["value"].median().abs().sort_values(ascending=False, kind="stable")
        for part in most.index[:5]:
            mine = tidy.of(rows, part=part)
            another = tidy.of(last, part=part)["shuffled"].median()
            made.add_row(cells.plain(size), str(part), cells.from_to(mine, "value", 2), cells.number(another, 2))
        made.add_section()
    return made
