"""Gradients in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def gradients_table(gradients: pd.DataFrame) -> RenderableType:
    """Per size and layer, of the MLP's output matrix or what stands in its place: from the first to the last step."""
    from rich.console import Group

    if gradients.empty:
        return cells.nothing("gradient")
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
                *(cells.from_to(mine, value, 2) for value in ("proportional", "cosine", "cosine_previous")),
            )
        steps, whole = tidy.integers(here["step"]), tidy.of(here, kind="model").groupby("step")["norm"].median()
        middle = cells.middle(of_size, "")
        span = f"{counting.noun().capitalize()} {counting.label(steps[0])} to {counting.label(steps[-1])}"
        text = f"Whole gradient {whole.iloc[0]:.3g} → {whole.iloc[-1]:.3g}. {span}; {middle}."
        parts += [table, cells.plain(text), ""]
    return Group(*parts[:-1])
