"""What layers would predict, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables


def lens_finding(size: str, tables: Tables, seeds: int) -> str:
    """After how many layers predictions are fixed at the last step, and which part speaks most for the right token."""
    depth = tidy.of(tables["lens_depth"], lens="logit")
    if depth.empty:
        return ""
    return " ".join(part for part in (_depth(size, pooled(depth)), _most(pooled(tables["attribution"]))) if part)


def _depth(size: str, depth: pd.DataFrame) -> str:
    last = tidy.of(depth, step=int(depth["step"].max()))
    first = tidy.of(depth, step=int(depth["step"].min()))
    told = tidy.interval(last["depth"].median(), *tidy.outermost(depth), digits=1)
    said = (
        f"The likeliest next token of {size} is fixed after {told} of {int(last['layers'].max())} layers at step "
        f"{int(last['step'].max())} (logit lens; the prediction of another token: {last['shuffled'].median():.1f}; "
        f"{tidy.over_seeds(depth)}, outermost ends of intervals)"
    )
    if len(depth["step"].unique()) < 2:
        return f"{said}."
    return f"{said}; at step {int(first['step'].min())} it was {first['depth'].median():.1f}."


def _most(attribution: pd.DataFrame) -> str:
    if attribution.empty:
        return ""
    last = tidy.of(attribution, step=int(attribution["step"].max()))
    last = last[last["part"] != "bias"]
    middle = last.groupby("part")["value"].median()
    part = str(middle.idxmax())
    mine = tidy.of(last, part=part)
    told = tidy.interval(middle.max(), *tidy.outermost(mine), digits=2)
    return (
        f"Most is added to the logit of the right token by {'the ' * (part == 'embedding')}{part}: {told} logits; to "
        f"that of another token {mine['shuffled'].median():.2f}."
    )
