"""How surprising is corrupted text, and text that models of the suite made up?

After "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803): the perplexity of
sequences with noise, and of sequences decoded from a weighted sum of what a small and a large model predict, along
training. Each is compared with the perplexity of the clean text of the same sequences. Intervals by a bootstrap over
sequences, in which a sequence and its noised copy stay together. See docs/analyses/noise.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Items, Scores

TABLE = {
    "size": "str", "seed": "int64", "step": "int64", "set": "str", "kind": "str", "rate": "float64",
    "small_weight": "float64", "large_weight": "float64", "surprisal": "float64", "low": "float64", "high": "float64",
    "perplexity": "float64", "perplexity_low": "float64", "perplexity_high": "float64", "ratio": "float64",
    "ratio_low": "float64", "ratio_high": "float64", "sequences": "int64", "tokens": "int64", "level": "float64",
}  # fmt: skip


@question(
    "How surprising is corrupted text, and text that models of the suite made up?",
    [
        Table(
            "noise",
            "Perplexity of corrupted and decoded text per size, seed and step, and its ratio to clean, with intervals.",
            TABLE,
            {
                "share of tokens": "rate",
                "weight": "small_weight large_weight",
                "nats per token": "surprisal low high",
                "perplexity": "perplexity perplexity_low perplexity_high",
                "times clean": "ratio ratio_low ratio_high",
            },
        ),
    ],
    reads=["behaviour/noise"],
    needs="`--behaviour noise`",
    place=100,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `noise`: one row per size, seed, step, set of items and way of making sequences.

    Ways are told apart by `kind` (clean, swap, shuffle, …, greedy, nucleus) and `rate` (of corrupted text) or
    `small_weight` and `large_weight` (of decoded text). Empty where nothing was read: `attrs["absent"]` says so.
    """
    from phasescope.texts.made.noise import KIND

    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    for items in reader.item_sets(KIND):
        ways = _ways(items)
        for key, scores in reader.scores(items):
            found = _sums(items, ways, scores)
            clean = next((sums for way, sums in found.items() if way[0] == "clean"), None)
            for way, sums in found.items():
                numbers = _numbers(sums, clean, options)
                size = (len(sums.tokens), int(sums.tokens.sum()))
                rows.append((key.size, key.seed, key.step, items.name, *_told(way), *numbers, *size, options.level))
    table = as_table(rows, TABLE)
    if not rows:
        table.attrs["absent"] = "No corrupted text was read. Read some: phasescope visit RUN --behaviour noise"
    return {"noise": table}


@dataclass(frozen=True, eq=False)
class Sums:
    """Nats and tokens of each sequence, and which sequence of the run's inputs it was made of."""

    sequence: Int64[np.ndarray, "sequences"]
    nats: Float64[np.ndarray, "sequences"]
    tokens: Float64[np.ndarray, "sequences"]

    @property
    def mean(self) -> float:
        return float(self.nats.sum() / self.tokens.sum())

    def replicates(self, weights: Int64[np.ndarray, "resamples sequences"]) -> Float64[np.ndarray, "resamples"]:
        """The mean in each resample of sequences; NaN where it drew none that are here."""
        with np.errstate(invalid="ignore"):
            drawn: Float64[np.ndarray, "resamples"] = (weights @ self.nats) / (weights @ self.tokens)
        return drawn


def _ways(items: Items) -> dict[tuple[Any, ...], Int64[np.ndarray, "sequences"]]:
    """For each way of making sequences its items, in order of appearance."""
    from phasescope.texts.made.noise import ABOUT

    ways: dict[tuple[Any, ...], list[int]] = {}
    for item, way in enumerate(zip(*(items.columns[name] for name in ABOUT), strict=True)):
        ways.setdefault(way, []).append(item)
    return {way: np.array(numbers) for way, numbers in ways.items()}


def _told(way: tuple[Any, ...]) -> tuple[Any, ...]:
    """A way as the table has it: decoded text has no rate, corrupted text no weights."""
    from phasescope.texts.made.noise import METHODS

    kind, rate, *weights = way
    return (kind, math.nan, *weights) if kind in METHODS else (kind, rate, math.nan, math.nan)


def _sums(
    items: Items, ways: dict[tuple[Any, ...], Int64[np.ndarray, "sequences"]], scores: Scores
) -> dict[tuple[Any, ...], Sums]:
    nats, tokens = -items.sums(scores.log_prob), items.scored.astype(np.float64)
    sequence = np.asarray(items.columns["sequence"])
    return {way: Sums(sequence[numbers], nats[numbers], tokens[numbers]) for way, numbers in ways.items()}


def _numbers(sums: Sums, clean: Sums | None, options: Options) -> list[float]:
    """Surprisal, perplexity and the ratio to clean perplexity, each with its interval."""
    from phasescope.measures import bootstrap_weights, interval

    draws = int(max(sums.sequence.max(), -1 if clean is None else clean.sequence.max())) + 1
    weights = bootstrap_weights(draws, options.resamples, options.seed).numpy()
    mean, drawn = np.array(sums.mean), sums.replicates(weights[:, sums.sequence])
    against, beside = np.array(np.nan), np.full_like(drawn, np.nan)
    if clean is not None:
        against, beside = np.array(mean - clean.mean), drawn - clean.replicates(weights[:, clean.sequence])
    found = []
    for value, replicates in ((mean, drawn), (against, beside)):
        low, high = interval(replicates, value, options.level)
        # One sequence does not say how sequences differ.
        found.append([float(value), *((float(low), float(high)) if len(sums.nats) > 1 else (math.nan, math.nan))])
    with np.errstate(over="ignore"):
        return [*found[0], *np.exp(found[0]), *np.exp(found[1])]
