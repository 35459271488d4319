"""What people look at: a folder for each question, a kit that they share, and the pages made of them."""

from __future__ import annotations

from phasescope.reports import listings
from phasescope.reports.convergence.layer_figure import layer_figure
from phasescope.reports.page.findings import Finding, findings, headline
from phasescope.reports.page.html import write_report
from phasescope.reports.page.markdown import write_markdown
from phasescope.reports.page.static import write_figures
from phasescope.reports.views import table_view

__all__ = [
    "Finding",
    "findings",
    "headline",
    "layer_figure",
    "listings",
    "table_view",
    "write_figures",
    "write_markdown",
    "write_report",
]
