"""Captions of gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled_seeds
from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.captions import drawn
from phasescope.reports.kit.depth import MOST_IN_LEGEND

if TYPE_CHECKING:
    import pandas as pd


def gradient_norm(table: pd.DataFrame) -> str:
    """Of the norm of the whole gradient."""
    return (
        f"Frobenius norm of a batch's gradient of the next-token loss by all parameters, {_batches(table)}, one curve "
        f"per seed ({table['seed'].nunique()}); band: {tidy.level(table)} bootstrap interval over batches."
        + drawn(table["step"])
    )


def gradients(table: pd.DataFrame, value: str) -> str:
    """Of what gradients of single matrices are like, layer by layer."""
    what, interval = {
        "ratio": (f"Frobenius norm of a batch's gradient over that of the matrix, {_batches(table)}", "batches"),
        "proportional": ("Effective rank of the mean gradient of all batches, as a share of the largest possible", ""),
        "cosine": ("Cosine of a batch's gradient with that of the batch before, mean over pairs", "pairs of batches"),
        "cosine_previous": ("Cosine of the mean gradient with that of the checkpoint before", ""),
    }[value]
    text = f"{what}; a curve per layer, the median over heads where these are measured one by one; "
    text += tidy.over_seeds(table)
    if table["layer"].nunique() > MOST_IN_LEGEND:
        text += "."
    elif pooled_seeds(table) > 1:
        text += "; band: the range of seeds."
    else:
        text += f"; band: {tidy.level(table)} bootstrap interval over {interval}." if interval else "."
    if value == "cosine_previous" and table["cosine_previous_error"].max() > 0:
        text += f" Told from sketches, to ± {table['cosine_previous_error'].max():.3f}; circuits have none."
    return text + drawn(table["step"])


def _batches(table: pd.DataFrame) -> str:
    most, least = int(table["batches"].max()), int(table["batches"].min())
    return f"mean over {counted(most, 'batch', 'batches')}" if most == least else f"mean over {least} to {most} batches"
