"""One file per question: reads a run, returns tidy tables."""

from phasescope.analyses.reader import RunReader
from phasescope.analyses.registry import ANALYSES, Analysis, Options, analyse, get_analysis, home_of, table

__all__ = ["ANALYSES", "Analysis", "Options", "RunReader", "analyse", "get_analysis", "home_of", "table"]
