"""What do attention heads look at, and when do induction heads form? (docs/analyses/heads.md)

On random tokens that are read twice (`phasescope.texts.made.repeats`), as Olsson et al. 2022 (In-context Learning and
Induction Heads, arXiv 2209.11895). Intervals by a bootstrap over sequences, the same resamples for all steps and heads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.heads.columns import BUMPS, REPETITION, SCORES
from phasescope.analyses.question import Curve, Table, question
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

ABSENT = (
    "No heads were scored in this run: say `phasescope visit RUN --behaviour heads`, if its models have attention "
    "that reads from left to right."
)


@question(
    "What do attention heads look at, and when do induction heads form?",
    [
        Table(
            "heads",
            "What each head looks at where random tokens are read twice; `twins`: where nothing repeats.",
            SCORES,
            {"share of attention (`entropy`: nats)": "value low high twins"},
        ),
        Table(
            "repetition",
            "What it is worth that tokens are read twice, and the strongest induction head, per size, seed and step.",
            REPETITION,
            {
                "nats per token": "gain low high loss twins_loss",
                "share of attention": "strongest strongest_low strongest_high",
            },
            curves=(Curve("strongest", "induction", place=50), Curve("gain", "repetition", place=51)),
        ),
        Table(
            "induction_heads",
            "When induction heads form: each head that does; without layer and head, the strongest at every step.",
            BUMPS,
            {
                "share of attention": "highest highest_low highest_high",
                "steps": "highest_step forms_step low high start start_low start_high end end_low end_high",
            },
        ),
    ],
    reads=("behaviour/heads",),
    needs="`--behaviour heads`",
    place=125,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `heads`, `repetition` and `induction_heads`; empty where no heads were scored."""
    from phasescope.analyses.heads.bumps import bump_rows, strongest_rows
    from phasescope.analyses.heads.scores import score_table, trajectories
    from phasescope.measures import bootstrap_weights

    reader.require_shards()
    runs = [run for items in reader.item_sets("heads") for run in trajectories(reader, items)]
    drawn = {n: bootstrap_weights(n, options.resamples, options.seed).numpy() for n in {run.sequences for run in runs}}
    repetition = [row for run in runs for row in strongest_rows(run, drawn[run.sequences], options)]
    bumps = [row for run in runs for row in bump_rows(run, drawn[run.sequences], options)]
    made = {
        "heads": score_table(runs, drawn, options.level).reindex(columns=list(SCORES)).astype(SCORES),
        "repetition": as_table(repetition, REPETITION),
        "induction_heads": as_table(bumps, BUMPS),
    }
    for table in made.values():
        if not runs:
            table.attrs["absent"] = ABSENT
    return made
