"""Measures of one's own: their figures, their part of the report, their table in the terminal."""

from __future__ import annotations

from phasescope.reports.own.figures import own_figure
from phasescope.reports.own.section import own_parts
from phasescope.reports.own.terminal import measured_view

__all__ = ["measured_view", "own_figure", "own_parts"]
