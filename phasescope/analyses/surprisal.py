"""How surprising is the text?

Surprisal −ln p(token | context) in nats, averaged over tokens; intervals by a bootstrap over sequences. The unigram
column is the cross-entropy of the same tokens under the token counts of the reference corpus: what a model that has
learned word frequencies and nothing else would reach.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

SURPRISAL = {
    "size": "str", "seed": "int64", "step": "int64", "surprisal": "float64", "low": "float64", "high": "float64",
    "perplexity": "float64", "perplexity_low": "float64", "perplexity_high": "float64", "entropy": "float64",
    "entropy_low": "float64", "entropy_high": "float64", "unigram": "float64", "level": "float64",
    "sequences": "int64", "tokens": "int64",
}  # fmt: skip


@question(
    "How surprising is the text?",
    [
        Table(
            "surprisal",
            "Mean surprisal (nats per token), perplexity and entropy per size, seed and step, with intervals.",
            SURPRISAL,
            {
                "nats per token": "surprisal low high entropy entropy_low entropy_high unigram",
                "perplexity": "perplexity perplexity_low perplexity_high",
            },
        ),
    ],
    place=30,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `surprisal`: one row per size, seed and step; empty where no outputs were captured."""
    import torch

    from phasescope.measures import clustered_mean_interval

    reader.require_shards()
    unigram = _unigram(reader)
    rows: list[tuple[Any, ...]] = []
    for key in reader.keys:
        with reader.folder.open_shard(key) as shard:
            if "outputs/surprisal" not in shard.names("outputs"):
                continue
            surprisal = torch.from_numpy(shard.read("outputs/surprisal"))
            entropy = torch.from_numpy(shard.read("outputs/entropy"))
        means = [
            tuple(
                map(
                    float,
                    clustered_mean_interval(
                        values, seed=options.seed, level=options.level, resamples=options.resamples
                    ),
                )
            )
            for values in (surprisal, entropy)
        ]
        perplexity = tuple(math.exp(value) if value < 700 else math.inf for value in means[0])
        rows.append(
            (
                key.size,
                key.seed,
                key.step,
                *means[0],
                *perplexity,
                *means[1],
                unigram,
                options.level,
                *surprisal.shape[:1],
                surprisal.numel(),
            )
        )
    return {"surprisal": as_table(rows, SURPRISAL)}


def _unigram(reader: RunReader) -> float:
    import torch

    from phasescope.measures import unigram_surprisal

    inputs = reader.inputs
    targets = torch.from_numpy(inputs.tokens[: inputs.output_sequences, 1:]).long()
    return float(unigram_surprisal(torch.from_numpy(inputs.counts), targets).mean())
