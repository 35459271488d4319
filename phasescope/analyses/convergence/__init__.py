"""How close is each layer to its final state, and when does it settle?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.convergence.columns import CONVERGENCE, KEYS, SETTLING
from phasescope.analyses.question import Option, Table, question, require_share
from phasescope.errors import BadArgumentError

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


def _taus(given: tuple[float, ...]) -> tuple[float, ...]:
    for tau in given:
        require_share("τ", tau)
    if not given:
        raise BadArgumentError("At least one τ is needed to say when a layer settles. Try 0.9.")
    return tuple(given)


TAUS = Option(
    "taus",
    "CKA at which a layer counts as settled; several joined by commas.",
    (0.8, 0.9, 0.95),
    flag="--tau",
    several=True,
    kind=float,
    check=_taus,
)
"""The questions about settling take it."""

DEVICE = Option("device", "where CKA and its intervals are computed: auto, cpu, cuda, cuda:1.", "cpu")


@question(
    "How close is each layer to its final state, and when does it settle?",
    [
        Table(
            "convergence",
            "CKA of every site to its final state, per size, seed, step, layer and head, with intervals.",
            CONVERGENCE,
            {"CKA": "cka low high cka_debiased debiased_low debiased_high shuffled", "sampled positions": "samples"},
        ),
        Table(
            "settling",
            "The step from which every site stays at or over τ of its final state, with intervals.",
            SETTLING,
            {
                "CKA": "tau first_cka first_low first_high shuffled",
                "steps": "settling_step low high last_step first_step",
                "share of training": "settling_fraction",
            },
            method="settling",
        ),
        Table(
            "convergence_resamples",
            "How the texts move the CKA of whole sites: columns `r0`, `r1` … are deviations from the median resample.",
            KEYS,
        ),
    ],
    options=[TAUS, DEVICE],
    version=2,
    place=10,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `convergence`, `settling` and `convergence_resamples`."""
    from phasescope.analyses.convergence.tables import tables_of

    return tables_of(reader, options)
