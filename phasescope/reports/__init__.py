"""What people look at: terminal tables, figures and the report, as HTML or Markdown."""

from __future__ import annotations

from phasescope.reports import figures, listings, terminal
from phasescope.reports.figures import layer_figure
from phasescope.reports.findings import Finding, findings, headline
from phasescope.reports.html import write_report
from phasescope.reports.markdown import write_markdown
from phasescope.reports.static import write_figures

__all__ = [
    "Finding",
    "figures",
    "findings",
    "headline",
    "layer_figure",
    "listings",
    "terminal",
    "write_figures",
    "write_markdown",
    "write_report",
]
