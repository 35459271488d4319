"""How far apart are the seeds of one size, for which tokens, and how far are models from other things?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.question import BESIDE, Curve, Option, Table, question
from phasescope.analyses.seeds.columns import (
    KL_ACROSS,
    NEXT_BYTE,
    REFERENCES,
    SEED_PAIRS,
    SEEDS,
    SEEDS_BY,
    SEEDS_BY_CONTRASTS,
    SEEDS_BY_PEAKS,
    TURNS,
)
from phasescope.analyses.seeds.token_groups import BY, DEFAULT, parse_by

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

_NATS = "nats per token"


GROUPS = Option(
    "by",
    f"how tokens are grouped: {', '.join(BY)}, joined by commas.",
    (),
    several=True,
    shown=",".join(DEFAULT),
    check=parse_by,
)
"""The questions about groups of tokens take it."""


@question(
    "How far apart are the seeds of one size, for which tokens, and how far are models from other things?",
    [
        Table(
            "seeds",
            "Expected KL between seeds (nats) per size and step, with intervals.",
            SEEDS,
            {_NATS: "kl low high convergence"},
            method="seed_divergence",
            curves=(Curve("kl", "kl", place=10),),
        ),
        Table("seed_pairs", "The same for each ordered pair of seeds.", SEED_PAIRS, {_NATS: "kl low high"}),
        Table("seeds_by", "The same for groups of tokens.", SEEDS_BY, {_NATS: "kl low high"}),
        Table(
            "seeds_by_peaks",
            "When each group of tokens has its peak, and how far it falls from there.",
            SEEDS_BY_PEAKS,
            {
                "steps": "since peak_step low high last_step",
                _NATS: "peak_kl last_kl",
                "share": "share share_low share_high",
            },
        ),
        Table(
            "seeds_by_contrasts",
            "Differences between two groups of tokens.",
            SEEDS_BY_CONTRASTS,
            {"as `measure` says": "value than_value difference low high"},
        ),
        Table(
            "references",
            "KL of every model to the uniform and to the unigram distribution.",
            REFERENCES,
            {_NATS: "kl_uniform uniform_low uniform_high kl_unigram unigram_low unigram_high"},
        ),
        Table(
            "reference_turns",
            "Where a size is closest to the unigram, and what the seeds do from there on.",
            TURNS,
            {
                "steps": "turn_step low high seeds_peak_step",
                _NATS: "first_kl turn_kl last_kl fall fall_low fall_high rise rise_low rise_high seeds_kl "
                "seeds_peak_kl growth growth_low growth_high",
            },
        ),
        Table(
            "kl_across",
            "KL between steps of a model, and between sizes at a step.",
            KL_ACROSS,
            {_NATS: "kl low high kl_back back_low back_high"},
        ),
        Table(
            "next_byte",
            "KL of what models say of the next byte, also of models of different tokenizers.",
            NEXT_BYTE,
            {"nats per byte": "kl low high kl_back back_low back_high", "share of positions": "impossible"},
        ),
    ],
    reads=["comparisons"],
    options=[
        BESIDE,
        GROUPS,
    ],
    needs="two seeds",
    place=40,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables about seeds, groups of tokens, references, steps, sizes and bytes."""
    from phasescope.analyses.seeds.between import tables_of

    return tables_of(reader, options)
