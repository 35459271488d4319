"""What people look at: terminal tables, figures and the HTML report."""

from __future__ import annotations

from phasescope.reports import figures, listings, terminal
from phasescope.reports.figures import layer_figure
from phasescope.reports.findings import Finding, findings, headline
from phasescope.reports.html import write_report

__all__ = ["Finding", "figures", "findings", "headline", "layer_figure", "listings", "terminal", "write_report"]
