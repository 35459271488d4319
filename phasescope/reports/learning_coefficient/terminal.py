"""Local learning coefficients, in the terminal; and what became of drawing weights."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from phasescope.visits.importing.weight_draws import Drawn


def coefficient_table(table: pd.DataFrame) -> RenderableType:
    """Per size and what was free: the curve along training, both ends, and of how many checkpoints it is in doubt."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "No weights were drawn in this run."))
    parts: list[RenderableType] = []
    for size in dict.fromkeys(table["size"]):
        here = pooled(tidy.of(table, size=size))
        made = cells.table(
            f"{size}: local learning coefficient",
            "weights",
            "along",
            ">first",
            ">last",
            ">R-hat",
            ">in doubt",
            caption=f"{cells.middle(here, '')}, outermost ends of {tidy.level(here)} intervals over chains; R-hat: the "
            "largest of all steps.",
        )
        for at in dict.fromkeys(here["at"]):
            rows = tidy.of(here, at=at)
            ends = [tidy.of(rows, step=step) for step in (int(rows["step"].min()), int(rows["step"].max()))]
            made.add_row(
                cells.plain(at),
                cells.sparkline(rows.groupby("step")["coefficient"].median()),
                *(cells.with_interval(end["coefficient"].median(), *tidy.outermost(end), 1) for end in ends),
                "∞" if rows["r_hat"].max() == float("inf") else cells.number(rows["r_hat"].max(), 2),
                f"{int((rows['reason'] != '').sum())} of {len(rows)}",
            )
        parts += [made, ""]
        reasons = list(dict.fromkeys(reason for reason in here["reason"] if reason))
        parts += [cells.plain(f"In doubt: {reason}.") for reason in reasons[:3]]
    return Group(*parts)


def drawn_view(done: Drawn, run: Path) -> RenderableType:
    """Around which checkpoints weights were drawn, and which could not be read."""
    from rich.console import Group

    said = f"Weights were drawn around {counted(len(done.drawn), 'checkpoint')}"
    said += f"; {done.already} had all" if done.already else ""
    failed = [cells.plain(f"Not read: {label}: {reason}") for label, reason in done.failed]
    return Group(cells.plain(f"{said}. Next: phasescope analyse {run} learning_coefficient"), *failed)
