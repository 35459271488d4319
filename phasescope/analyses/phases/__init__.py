"""In which phases does behaviour go through training?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.phases.columns import PEAKS, PHASES
from phasescope.analyses.question import Table, question

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


@question(
    "In which phases does behaviour go through training?",
    [
        Table(
            "phases",
            "The phases of each behavioural curve per size and seed, and of the mean of the seeds, with intervals.",
            PHASES,
            {
                "steps": "start end start_low start_high",
                "of the curve per e-fold of steps": "slope slope_low slope_high",
                "nats": "criterion",
            },
        ),
        Table("peaks", "Where each of these curves is highest.", PEAKS, {"steps": "peak_step low high"}),
    ],
    of_curves=True,
    place=140,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `phases` and `peaks`."""
    from phasescope.analyses.phases.of_behaviour import tables_of

    return tables_of(reader, options)
