"""Which tokens are still learned, which stagnate, and do sizes line up at the same perplexity?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.question import Option, Table, one_of, question
from phasescope.analyses.trajectories.columns import AGAINST, AGREEMENT, ALIGNMENT, TOKENS, TRAJECTORIES, TRANSITIONS

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

_SHARE = "share of tokens"
_AXES = ("log", "order", "step")


@question(
    "Which tokens are still learned, which stagnate, and do sizes line up at the same perplexity?",
    [
        Table(
            "trajectories",
            "Share of tokens of each class of trend per size, seed and part of training, with intervals.",
            TRAJECTORIES,
            {_SHARE: "share low high", "steps": "first_step last_step", "% of training": "percent"},
        ),
        Table("token_classes", "The class of every token, from each part of training on.", TOKENS),
        Table(
            "class_transitions",
            "Which classes the tokens of a class have in another size.",
            TRANSITIONS,
            {_SHARE: "share low high given_a", "% of training": "percent"},
        ),
        Table(
            "class_agreement",
            "Cohen's κ between the classes of the same tokens in two models.",
            AGREEMENT,
            {"κ": "kappa low high", _SHARE: "agreement agreement_low agreement_high", "% of training": "percent"},
        ),
        Table(
            "against_perplexity",
            "Behavioural curves against validation perplexity instead of step.",
            AGAINST,
            {"as `measure` says": "value low high", "perplexity": "perplexity", "steps": "step"},
        ),
        Table(
            "size_alignment",
            "How far apart two sizes are at the same perplexity, beside that at the same step.",
            ALIGNMENT,
            {
                "perplexity": "perplexity_low perplexity_high",
                "as `measure` says": "distance low high step_distance step_low step_high seed_distance",
                "times": "ratio ratio_low ratio_high",
                "probability": "p_value",
            },
        ),
    ],
    options=[
        Option(
            "trend_over",
            "what trends of tokens run over: log (of the step), order (of checkpoints) or step.",
            "log",
            check=one_of("axis {} for trends to run over", *_AXES),
        )
    ],
    place=60,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables about classes of tokens, and about behaviour at the same perplexity."""
    from phasescope.analyses.trajectories.classes import tables_of

    return tables_of(reader, options)
