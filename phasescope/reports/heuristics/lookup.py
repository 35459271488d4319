"""Peaks of correlations that a reader would look up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.heuristics.peaks import summary_peaks
from phasescope.reports.kit import tidy
from phasescope.reports.kit.answer import Lookup
from phasescope.reports.kit.cells import step

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables


def peaks_lookup(size: str, tables: Tables) -> Iterator[Lookup]:
    """Of words, and of tokens, as there are."""
    for unit in dict.fromkeys(tables["heuristic_peaks"]["unit"]):
        peaks = summary_peaks(tables["heuristic_peaks"], size, unit)
        columns = peaks[["predictor", "peak_step", "low", "high"]].itertuples(index=False, name=None)
        rows = [(str(name), *map(step, steps)) for name, *steps in columns]
        about = f"{size}; {tidy.level(peaks)} intervals"
        yield Lookup(
            f"Where the correlations of {unit}s peak", about, ("predictor", counting.noun(), "from", "to"), rows
        )
