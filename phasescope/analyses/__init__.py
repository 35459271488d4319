"""One file per question: reads a run, returns tidy tables."""

from phasescope.analyses.reader import RunReader
from phasescope.analyses.registry import (
    ANALYSES,
    Analysis,
    Options,
    analyse,
    as_made_now,
    get_analysis,
    home_of,
    kept_table,
    table,
)

__all__ = [
    "ANALYSES",
    "Analysis",
    "Options",
    "RunReader",
    "analyse",
    "as_made_now",
    "get_analysis",
    "home_of",
    "kept_table",
    "table",
]
