"""How surprising is the text?

Surprisal −ln p(token | context) in nats, averaged over tokens; intervals by a bootstrap over sequences. The unigram
column is the cross-entropy of the same tokens under the token counts of the reference corpus: what a model that has
learned word frequencies and nothing else would reach.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Curve, Table, question
from phasescope.analyses.reader import as_table
from phasescope.store import Part, rows_as_part, rows_of

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

SURPRISAL = {
    "size": "str", "seed": "int64", "step": "int64", "surprisal": "float64", "low": "float64", "high": "float64",
    "perplexity": "float64", "perplexity_low": "float64", "perplexity_high": "float64", "entropy": "float64",
    "entropy_low": "float64", "entropy_high": "float64", "unigram": "float64", "level": "float64",
    "sequences": "int64", "tokens": "int64",
}  # fmt: skip
# What is of one shard, and not computed from the rest of it.
_OWN = {
    name: SURPRISAL[name]
    for name in ("surprisal", "low", "high", "entropy", "entropy_low", "entropy_high", "sequences", "tokens")
}
# Goes up when the same shards give other numbers.
_VERSION = 1


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
            curves=(Curve("surprisal", "surprisal", place=20), Curve("entropy", "entropy", place=21)),
        ),
    ],
    place=30,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `surprisal`: one row per size, seed and step; empty where no outputs were captured."""
    reader.require_shards()
    unigram = _unigram(reader)
    rows: list[tuple[Any, ...]] = []
    asked = (_VERSION, options.seed, options.level, options.resamples)
    for key, part in parts_by_shard(reader, "surprisal", asked, lambda key: _part(reader, key, options)):
        for *numbers, sequences, tokens in rows_of(part, _OWN):
            surprisal, entropy = numbers[:3], numbers[3:]
            perplexity = [math.exp(value) if value < 700 else math.inf for value in surprisal]
            shape = (unigram, options.level, sequences, tokens)
            rows.append((key.size, key.seed, key.step, *surprisal, *perplexity, *entropy, *shape))
    return {"surprisal": as_table(rows, SURPRISAL)}


def _part(reader: RunReader, key: ShardKey, options: Options) -> Part:
    """One row; none where no outputs were captured."""
    import torch

    from phasescope.measures import clustered_mean_interval

    with reader.folder.open_shard(key) as shard:
        if "outputs/surprisal" not in shard.names("outputs"):
            return rows_as_part([], _OWN)
        surprisal = torch.from_numpy(shard.read("outputs/surprisal"))
        entropy = torch.from_numpy(shard.read("outputs/entropy"))
    how: dict[str, Any] = {"seed": options.seed, "level": options.level, "resamples": options.resamples}
    means = [float(number) for values in (surprisal, entropy) for number in clustered_mean_interval(values, **how)]
    return rows_as_part([(*means, len(surprisal), surprisal.numel())], _OWN)


def _unigram(reader: RunReader) -> float:
    import torch

    from phasescope.measures import unigram_surprisal

    inputs = reader.inputs
    targets = torch.from_numpy(inputs.tokens[: inputs.output_sequences, 1:]).long()
    return float(unigram_surprisal(torch.from_numpy(inputs.counts), targets).mean())
