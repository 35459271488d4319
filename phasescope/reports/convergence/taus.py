"""The τ that is shown first, and the choice of others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from phasescope.reports.kit.panels import Control

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables


def usual_tau(taus: Iterable[float]) -> float:
    """0.9 if settling was computed for it, else the middle one."""
    known = sorted({float(tau) for tau in taus})
    return 0.9 if 0.9 in known or not known else known[len(known) // 2]


def taus_of(tables: Tables) -> list[float]:
    """Each τ that settling steps were computed for."""
    return sorted(float(tau) for tau in tables["settling"]["tau"].dropna().unique())


def tau_of(tables: Tables) -> float:
    """The τ that is shown first."""
    return tables.once("tau", lambda: usual_tau(taus_of(tables)))


def tau_control(tables: Tables) -> Control:
    """The choice of τ, the usual one first."""
    taus = sorted(taus_of(tables), key=lambda tau: (tau != tau_of(tables), tau))
    return Control("tau", "Settled at CKA ≥ τ", [(f"{tau:g}", f"τ = {tau:g}") for tau in taus])
