"""Tables for the terminal: rich renderables from a run's tables, readable at 80 columns."""

from __future__ import annotations

from phasescope.reports.cells import sparkline
from phasescope.reports.terminal.analyses import (
    gradients_table,
    rank_table,
    seeds_table,
    settling_table,
    surprisal_table,
    table_view,
)
from phasescope.reports.terminal.layer import layer_view
from phasescope.reports.terminal.phases import phases_view
from phasescope.reports.terminal.runs import capture_summary, run_info, visit_summary
from phasescope.reports.terminal.trajectories import trajectories_view

__all__ = [
    "capture_summary",
    "gradients_table",
    "layer_view",
    "phases_view",
    "rank_table",
    "run_info",
    "seeds_table",
    "settling_table",
    "sparkline",
    "surprisal_table",
    "table_view",
    "trajectories_view",
    "visit_summary",
]
