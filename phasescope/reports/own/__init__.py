"""Measures of one's own: their figures, their part of the report, their table in the terminal."""

from __future__ import annotations

from phasescope.reports.own.figure import own_figure
from phasescope.reports.own.part import own_parts
from phasescope.reports.own.view import measured_view

__all__ = ["measured_view", "own_figure", "own_parts"]
