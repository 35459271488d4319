"""What would a model predict if it stopped after a layer? And what speaks for the right token? (docs/analyses/lens.md)

The logit lens (nostalgebraist 2020), the tuned lens (Belrose et al. 2023, arXiv 2303.08112) and direct logit
attribution (Elhage et al. 2021), on tokens of the run's own text. Intervals by a bootstrap over sequences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.lens.columns import ATTRIBUTION, DEPTH, LENS
from phasescope.analyses.question import Curve, Table, question
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

ABSENT = (
    "No model of this run was looked at through the lens: say `phasescope visit RUN --behaviour lens`, if they read "
    "from left to right."
)
_LOGIT = (("lens", "logit"),)


@question(
    "What would the model predict if it stopped after a layer?",
    [
        Table(
            "lens",
            "The lens at each layer per size, seed and step, of the logit and of the tuned lens; `shuffled`: the same "
            "beside the prediction and the target of another token.",
            LENS,
            {"as `score` says": "value low high shuffled"},
        ),
        Table(
            "lens_depth",
            "After how many layers the likeliest token is the last one's and stays it, and the lens' mean KL.",
            DEPTH,
            {"layers": "depth low high shuffled", "nats": "kl kl_low kl_high kl_shuffled"},
            curves=(
                Curve("depth", "lens depth", only=_LOGIT, place=52),
                Curve("kl", "lens KL", only=_LOGIT, place=53),
            ),
        ),
        Table(
            "attribution",
            "What each part of the residual stream adds to the logit of the right token; `shuffled`: of another one.",
            ATTRIBUTION,
            {"logits": "value low high shuffled"},
        ),
    ],
    reads=("behaviour/lens",),
    needs="`--behaviour lens`",
    place=126,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `lens`, `lens_depth` and `attribution`; empty where no model was looked at."""
    from phasescope.analyses.lens.rows import attribution_rows, depth_rows, lens_rows
    from phasescope.analyses.lens.seen import seen

    reader.require_shards()
    looks = list(seen(reader))
    made = {
        "lens": as_table([row for look in looks for row in lens_rows(look, options)], LENS),
        "lens_depth": as_table([row for look in looks for row in depth_rows(look, options)], DEPTH),
        "attribution": as_table([row for look in looks for row in attribution_rows(look, options)], ATTRIBUTION),
    }
    for table in made.values():
        if not looks:
            table.attrs["absent"] = ABSENT
    return made
