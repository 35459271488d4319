"""Effective rank in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy
from phasescope.reports.kit.captions import parts_of

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table


# In the order in which they are shown; what else has a rank is an activation, or belongs to no layer.
_WEIGHTS = (
    "W_in", "W_gate", "W_out", "OV", "QK", "W_Q", "W_K", "W_V", "W_R", "W_O", "in_proj", "x_proj", "dt_proj", "out_proj"
)  # fmt: skip


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
        split = dict.fromkeys(parts_of(str(name)) for name in here.loc[here["head"].notna(), "component"].unique())
        also = f"and {' or '.join(split)}" if split else ""
        text = f"From {counting.at(steps[0])} to {counting.label(steps[-1])}; {cells.middle(of_size, also)}."
        parts += [cells.plain(text), ""]
    return Group(*parts[:-1]) if parts else cells.nothing("rank")


def _rank_block(size: str, rank: pd.DataFrame, components: list[str]) -> Table:
    """Layers down, a few components across, each from its first to its last value."""
    table = cells.table(f"{size}: proportional effective rank", "layer", *(f">{name}" for name in components))
    parts = {name: tidy.of(rank, component=name) for name in components}
    for layer in tidy.integers(rank["layer"]):
        table.add_row(f"L{layer}", *(_from_to(tidy.of(part, layer=layer)) for part in parts.values()))
    return table


def _from_to(rank: pd.DataFrame) -> str:
    whole = tidy.whole(rank)
    return cells.from_to(rank if whole.empty else whole, "proportional", 3)
