"""Settling steps that a reader would look up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import tidy
from phasescope.reports.kit.answer import Lookup
from phasescope.reports.kit.cells import known, step

if TYPE_CHECKING:
    from phasescope.reports.kit.tables import Tables

_HEADER = ("from", "to", "of training", "first CKA, least", "most", "by chance", "seen to settle")


def settling_lookup(size: str, tables: Tables) -> Iterator[Lookup]:
    """By site, at the τ that is shown first."""
    tau = tau_of(tables)
    rows_of_tau = tidy.whole(tidy.of(tables["settling"], tau=tau))
    settled = median_settling(rows_of_tau)
    if settled.empty:
        return
    rows = [
        (f"L{row['layer']}.{row['component']}", *(step(row[name]) for name in ("median", "low", "high")),
         f"{100 * row['fraction']:.1f} %" if known(row["fraction"]) else "–",
         *(f"{row[name]:.2f}" if known(row[name]) else "–" for name in ("first_least", "first_most", "shuffled")),
         "yes" if row["moved"] else "no")
        for row in settled.to_dict("records")
    ]  # fmt: skip
    brackets = tidy.seeds_and_range(rows_of_tau, tidy.level(rows_of_tau)).replace(" in brackets", "")
    note = (
        "First CKA is that of the first step, by chance that of texts that do not match: a site was not seen to "
        "settle if it was not surely below τ at the first step, or if texts that do not match reach τ too."
    )
    yield Lookup(
        f"Settling steps of {size}", f"τ = {tau:g}; {brackets}", ("site", counting.noun(), *_HEADER), rows, note
    )
