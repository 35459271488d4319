"""Why there is no KL between seeds."""

from __future__ import annotations

from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.answer import Scope

_REMOTE = "Models that are read remotely keep their weights there, so no two seeds were compared."


def no_kl(about: Scope) -> str:
    """In a sentence; "" where there is a curve. `about` one size."""
    table = about.tables["seeds"]
    if about.seeds_here < 2:
        return "There is one seed of this size, so no two can be compared: KL between seeds needs at least two."
    failure = about.tables.why("seeds")
    if about.run.manifest.get("asked", {}).get("remote") and table.empty:
        failure = failure or _REMOTE
    if not failure and table.empty:
        return "No two seeds of this size were compared: no step was captured, with outputs, from two or more of them."
    why = no_trajectory(table, "kl", "KL between seeds", failure)
    known = table[table["kl"].notna()]
    if failure or known.empty or known["step"].nunique() > 1:
        return why
    row = known.iloc[0]
    return f"{why} It is {row['kl']:.3f} [{row['low']:.3f}, {row['high']:.3f}] nats per token."
