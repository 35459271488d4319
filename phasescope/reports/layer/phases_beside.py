"""Which phases of behaviour are shown beside a layer, where a run has found any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

# What is shown unless a curve is asked for: the first of these that there is.
_FIRST = ("kl", "surprisal", "entropy")


@dataclass(frozen=True)
class Beside:
    """The phases of one curve of a size, in order, and which others there are; or in `note` how to get some."""

    curve: str = ""
    phases: pd.DataFrame | None = None
    note: str = ""
    others: tuple[str, ...] = ()


def first_curve(curves: Sequence[str]) -> str | None:
    """The curve of which phases are shown unless another is asked for; None where there is none."""
    return next((name for name in (*_FIRST, *curves) if name in curves), None)


def phases_beside(phases: pd.DataFrame | None, run: Path, size: str, curve: str | None = None) -> Beside:
    """The phases of `curve` (None: KL, else surprisal, else entropy) of the mean of the seeds of a size.

    phases: the run's table; None where it has none, or one of other checkpoints.

    Raises `PhasescopeError` for a curve that the table does not have, with those that it has.
    """
    from phasescope.reports.phases.chosen import summary_phases

    if phases is None:
        return Beside(note=f"Phases of behaviour beside it: phasescope analyse {run} phases")
    mine = summary_phases(phases[phases["size"] == size])
    curves = list(mine["curve"].unique())
    if curve is None:
        curve = first_curve(curves)
        if curve is None:
            return Beside(note=f"There are no phases of behaviour of {size}.")
    if curve not in curves:
        raise PhasescopeError(f"There are no phases of {curve!r} of {size}. {did_you_mean(curve, curves)}")
    rows = mine[mine["curve"] == curve].sort_values(["seed", "phase"])
    # Without a mean of the seeds, the first seed's.
    seeds = list(rows["seed"].dropna().unique())
    others = tuple(name for name in curves if name != curve)
    return Beside(curve, rows[rows["seed"] == seeds[0]] if seeds else rows, others=others)
