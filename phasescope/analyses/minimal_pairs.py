"""Which of two sentences that differ in one thing do the models prefer?

Warstadt et al. (2020), "BLiMP". Accuracy is the share of pairs whose acceptable sentence is the likelier one; a tie
counts half, so that a model which cannot tell them apart is at chance. The margin is the mean difference of
log-probability, in nats. Intervals by a bootstrap over pairs; of several paradigms, over the pairs of each.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import Curve, Table, question
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey
    from phasescope.texts import Items, Scores

MINIMAL_PAIRS = {
    "size": "str", "seed": "int64", "step": "int64", "paradigm": "str", "method": "str", "accuracy": "float64",
    "low": "float64", "high": "float64", "margin": "float64", "margin_low": "float64", "margin_high": "float64",
    "pairs": "int64", "ties": "int64", "level": "float64",
}  # fmt: skip
FULL_SENTENCE = "full_sentence"
ALL, OWN_ALL = "all", "own_all"
"""The mean over all paradigms: of those from files, and of our own."""


@dataclass(frozen=True)
class _Curve:
    """One paradigm by one method: estimates and replicates of accuracy and margin, `[2, checkpoints]` each.

    ties: pairs whose two scores are the same, at each checkpoint.
    """

    paradigm: str
    own: bool
    method: str
    keys: list[ShardKey]
    pairs: int
    ties: Int[np.ndarray, "checkpoints"]
    estimates: Float64[np.ndarray, "2 checkpoints"]
    replicates: Float64[np.ndarray, "resamples 2 checkpoints"]


@question(
    "Which of two sentences that differ in one thing do the models prefer?",
    [
        Table(
            "minimal_pairs",
            "Accuracy and margin on minimal pairs per paradigm, method, size, seed and step, with intervals.",
            MINIMAL_PAIRS,
            {"share of pairs": "accuracy low high", "nats": "margin margin_low margin_high"},
            curves=(Curve("accuracy", "minimal_pairs:{}", "paradigm", (("method", FULL_SENTENCE),), 40),),
        ),
    ],
    reads=["behaviour/minimal_pairs"],
    needs="`--behaviour minimal_pairs`",
    place=90,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `minimal_pairs`: one row per size, seed, step, paradigm and method; empty where no pairs were scored."""
    from phasescope.texts.items.minimal_pairs import KIND

    reader.require_shards()
    sets = reader.item_sets(KIND)
    curves = [curve for items in sets for curve in _curves(items, reader, options)]
    rows = [row for curve in [*_means(curves), *curves] for row in _rows(curve, options.level)]
    order = {size: place for place, size in enumerate(reader.sizes)}
    rows.sort(key=lambda row: (order[row[0]], row[1], row[2]))
    table = as_table(rows, MINIMAL_PAIRS)
    ask = f"phasescope visit RUN --behaviour {KIND}"
    if same := [f"{int(one.sum())} of {len(one)} of {items.name}" for items in sets if (one := identical(items)).any()]:
        table.attrs["identical"] = (
            f"Pairs whose two sentences are the same count half, as every tie: {', '.join(same)}."
        )
    if not sets:
        table.attrs["absent"] = (
            f"The models of this run were not asked for minimal pairs. Ask them with {ask}=FILE (BLiMP's), or without "
            "a file for a small set of ours."
        )
    elif lacking := {key for items in sets for key in set(reader.keys) - set(reader.scored(items))}:
        table.attrs["unscored"] = (
            f"{len(lacking)} of {len(reader.keys)} checkpoints were not asked for all minimal pairs (the first: "
            f"{min(lacking).label}). Ask them with phasescope visit RUN --behaviour all."
        )
    return {"minimal_pairs": table}


def _curves(items: Items, reader: RunReader, options: Options) -> Iterator[_Curve]:
    """The curves of one paradigm: by whole sentences, and by the word that decides where it is known."""
    from phasescope.measures import bootstrap_weights
    from phasescope.texts.items.minimal_pairs import OWN

    keys: list[ShardKey] = []
    margins: dict[str, list[Float64[np.ndarray, "pairs"]]] = {}
    same = identical(items)
    for key, scores in reader.scores(items):
        keys.append(key)
        for method, values in pair_margins(items, scores, same).items():
            margins.setdefault(method, []).append(values)
    for method, of_method in margins.items():
        margin = np.stack(of_method, axis=1)
        pairs = len(margin)
        values = np.concatenate([(margin > 0) + 0.5 * (margin == 0), margin], axis=1)
        drawn = bootstrap_weights(pairs, options.resamples, options.seed + zlib.crc32(items.name.encode()))
        replicates = (drawn.double().numpy() @ values / pairs).reshape(options.resamples, 2, len(keys))
        if pairs < 2:  # One pair says nothing of how pairs differ.
            replicates = np.full_like(replicates, np.nan)
        estimates = values.mean(0).reshape(2, len(keys))
        ties = (margin == 0).sum(0)
        yield _Curve(items.name, items.source == OWN, method, keys, pairs, ties, estimates, replicates)


def identical(items: Items) -> Bool[np.ndarray, "pairs"]:
    """Which pairs are the same sentence twice: no model can choose, whatever rounding makes of its two scores."""
    return np.array(
        [np.array_equal(items.sequence(i), items.sequence(i + 1)) for i in range(0, items.items, 2)], dtype=bool
    )


def pair_margins(
    items: Items, scores: Scores, same: Bool[np.ndarray, "pairs"]
) -> dict[str, Float64[np.ndarray, "pairs"]]:
    """By method, ln p of the acceptable minus ln p of the other sentence, in nats; pairs that have the method.

    `full_sentence`: of all tokens. `one_prefix` and `two_prefix`: of the tokens of the word that decides, given what is
    before it. same: what `identical` gives; their margin is 0.
    """
    from phasescope.texts.items.minimal_pairs import METHODS

    whole = items.sums(scores.log_prob)
    found = {FULL_SENTENCE: np.where(same, 0, whole[0::2] - whole[1::2])}
    word_first, word_last = (np.array(items.columns[name]) for name in ("word_first", "word_last"))
    methods = np.array(items.columns["method"])
    for method in METHODS:
        chosen = np.flatnonzero(methods == method)
        if len(chosen):
            begin = items.scored_starts[chosen] + word_first[chosen] - items.first[chosen]
            end = begin + word_last[chosen] - word_first[chosen]
            # Sums between every two neighbours of these bounds, of which each second one is a word.
            bounds, padded = np.stack([begin, end], 1).ravel(), np.append(scores.log_prob.astype(np.float64), 0)
            words = np.add.reduceat(padded, bounds)[::2]
            found[method] = np.where(same[chosen[::2] // 2], 0, words[0::2] - words[1::2])
    return found


def _means(curves: Sequence[_Curve]) -> Iterator[_Curve]:
    """The mean over paradigms, which weigh alike; of checkpoints that have all of them."""
    from phasescope.texts.items.minimal_pairs import METHODS

    for own, name in ((False, ALL), (True, OWN_ALL)):
        for method in (FULL_SENTENCE, *METHODS):
            group = [curve for curve in curves if curve.own == own and curve.method == method]
            keys = sorted(set.intersection(*(set(curve.keys) for curve in group))) if len(group) > 1 else []
            if not keys:
                continue
            places = [[curve.keys.index(key) for key in keys] for curve in group]
            estimates = [curve.estimates[:, place] for curve, place in zip(group, places, strict=True)]
            replicates = [curve.replicates[..., place] for curve, place in zip(group, places, strict=True)]
            pairs = sum(curve.pairs for curve in group)
            ties = np.sum([curve.ties[place] for curve, place in zip(group, places, strict=True)], axis=0)
            yield _Curve(name, own, method, keys, pairs, ties, np.mean(estimates, 0), np.mean(replicates, 0))


def _rows(curve: _Curve, level: float) -> Iterator[tuple[Any, ...]]:
    from phasescope.measures import interval

    low, high = (edge.numpy() for edge in interval(curve.replicates, curve.estimates, level))
    for i, key in enumerate(curve.keys):
        accuracy, margin = curve.estimates[:, i]
        # A share lies between 0 and 1; np.clip keeps NaN.
        shares = np.clip([low[0, i], high[0, i]], 0, 1)
        margins = margin, low[1, i], high[1, i]
        yield (
            *_place(key),
            curve.paradigm,
            curve.method,
            accuracy,
            *shares,
            *margins,
            curve.pairs,
            int(curve.ties[i]),
            level,
        )


def _place(key: ShardKey) -> tuple[str, int, int]:
    return key.size, key.seed, key.step
