"""How alike are the predictions of different models? (study C, docs/analyses/agreement.md)

Pearson's correlation of the word log-probabilities of every model with those of every other at the same step: of seeds
of one size, of sizes, and of models of other runs (other architectures), where the same words of the same text are in
both. Words are matched by their text, so tokenizers may differ. Intervals by a bootstrap over sequences.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import BESIDE, Table, question
from phasescope.analyses.reader import RunReader, as_table
from phasescope.analyses.word_readings import Units, word_units
from phasescope.errors import PhasescopeError
from phasescope.store import Part, origin_of, parts_of, rows_as_part, rows_of

if TYPE_CHECKING:
    from jaxtyping import Float64, Int
    from numpy.typing import NDArray
    from pandas import DataFrame

    from phasescope.analyses.options import Options

AGREEMENT = {
    "size": "str", "beside_run": "str", "beside_size": "str", "relation": "str", "step": "int64", "pearson": "float64",
    "low": "float64", "high": "float64", "level": "float64", "pairs": "int64", "sequences": "int64", "words": "int64",
}  # fmt: skip
PAIRS = {
    "size": "str", "seed": "int64", "beside_run": "str", "beside_size": "str", "beside_seed": "int64", "step": "int64",
    "pearson": "float64", "low": "float64", "high": "float64", "level": "float64", "words": "int64",
}  # fmt: skip
# Goes up when the same shards give other numbers.
_VERSION = 1
_CONTEXT = 5
"""Words before one that must be the same for two runs to have read the same word."""


@question(
    "How alike are the predictions of different models?",
    [
        Table(
            "agreement",
            "How alike the predictions of seeds and sizes are per step: correlations with intervals.",
            AGREEMENT,
            {"correlation": "pearson low high"},
        ),
        Table("agreement_pairs", "The same for every two models.", PAIRS, {"correlation": "pearson low high"}),
    ],
    options=[BESIDE],
    needs="two models",
    place=80,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `agreement` (one row per step, size and size compared with) and `agreement_pairs` (one per two models)."""
    reader.require_shards()
    here = _Readings(reader, "", word_units(reader))
    others = [_beside(here, Path(path)) for path in options.beside]
    steps = sorted({key.step for key in reader.keys})
    make = partial(_parts, here, others, options, steps)
    if others:
        found = list(make(range(len(steps))))
    else:
        shards: dict[int, list[str]] = {step: [] for step in steps}
        for key, digest in zip(reader.keys, reader.digests(reader.keys), strict=True):
            shards[key.step].append(digest)
        asked = (_VERSION, reader.sizes, options.resamples, options.seed, options.level)
        origins = [origin_of(*asked, shards[step]) for step in steps]
        found = parts_of(reader.folder.parts("agreement/steps"), origins, make)
    means = [row for part in found for row in _out_of(part, "means", AGREEMENT)]
    pairs = [row for part in found for row in _out_of(part, "pairs", PAIRS)]
    tables = {"agreement": as_table(means, AGREEMENT), "agreement_pairs": as_table(pairs, PAIRS)}
    if not means:
        for table in tables.values():
            table.attrs["absent"] = (
                "No two models can be compared: agreement needs two seeds or sizes captured, with outputs, at the same "
                "step, and two sequences or more."
            )
    return tables


def _parts(
    here: _Readings,
    others: list[tuple[_Readings, _Matched]],
    options: Options,
    steps: Sequence[int],
    places: Sequence[int],
) -> Iterator[Part]:
    """Rows of both tables at each of these steps."""
    sizes = here.reader.sizes
    for step in (steps[place] for place in places):
        means: list[tuple[Any, ...]] = []
        pairs: list[tuple[Any, ...]] = []
        models = here.at(step)
        for other, matched in [(here, None), *others]:
            compared = models if other is here else other.at(step)
            for group, found in _grouped(models, compared, same=other is here, sizes=sizes):
                rows, mean = _compare(found, here, matched, step, options)
                if rows:
                    pairs += rows
                    means.append((*group, step, *mean))
        yield _into("means", means, AGREEMENT) | _into("pairs", pairs, PAIRS)


def _into(table: str, rows: Sequence[Sequence[Any]], columns: Mapping[str, str]) -> dict[str, NDArray[Any]]:
    return {f"{table}/{name}": column for name, column in rows_as_part(rows, columns).items()}


def _out_of(part: Part, table: str, columns: Mapping[str, str]) -> list[tuple[Any, ...]]:
    return rows_of({name: part[f"{table}/{name}"] for name in columns}, columns)


@dataclass(frozen=True, eq=False)
class _Model:
    run: str
    size: str
    seed: int
    values: Float64[np.ndarray, "measured_words"]


@dataclass(frozen=True, eq=False)
class _Readings:
    """The words of one run, and what its checkpoints say of them."""

    reader: RunReader
    name: str
    units: Units

    def at(self, step: int) -> list[_Model]:
        models = []
        for key in self.reader.keys:
            if key.step != step:
                continue
            with self.reader.folder.open_shard(key) as shard:
                if "outputs/surprisal" in shard.names("outputs"):
                    values = self.units.log_probabilities(shard.read("outputs/surprisal").astype(np.float64))
                    models.append(_Model(self.name, key.size, key.seed, values))
        return models


@dataclass(frozen=True, eq=False)
class _Matched:
    """Which measured words of this run and of another are the same."""

    here: Int[np.ndarray, "matched"]
    there: Int[np.ndarray, "matched"]


def _beside(here: _Readings, path: Path) -> tuple[_Readings, _Matched]:
    from phasescope.store import RunFolder

    other = RunReader(RunFolder(path))
    other.require_shards()
    readings = _Readings(other, path.name, word_units(other))
    if other.inputs.hash == here.reader.inputs.hash:
        same = np.arange(int(here.units.measured.sum()))
        matched = _Matched(same, same)
    else:
        ours, theirs = _by_context(here.units), _by_context(readings.units)
        keys = [key for key in ours if key in theirs]
        matched = _Matched(np.array([ours[key] for key in keys], int), np.array([theirs[key] for key in keys], int))
    if len(matched.here) < 2:
        raise PhasescopeError(
            f"{path} has no words in common with {here.reader.folder.path}: words are compared where both runs read "
            "the same text. Capture both with the same --texts and --seed, and enough --output-sequences."
        )
    steps = {key.step for key in other.keys}
    if not steps & {key.step for key in here.reader.keys}:
        raise PhasescopeError(
            f"{path} has no step in common with {here.reader.folder.path}: models are compared at the same step."
        )
    return readings, matched


def _by_context(units: Units) -> dict[tuple[str, ...], int]:
    """The places, among the measured words, of those that are the only ones with these words before them."""
    assert units.words is not None
    words = units.words.words
    places = np.cumsum(units.measured) - 1
    wanted = np.flatnonzero(units.measured & (units.place >= _CONTEXT))
    keys = [tuple(words[i - _CONTEXT : i + 1]) for i in wanted]
    times = Counter(keys)
    return {key: int(places[i]) for key, i in zip(keys, wanted, strict=True) if times[key] == 1}


def _grouped(
    models: list[_Model], compared: list[_Model], *, same: bool, sizes: list[str]
) -> Iterator[tuple[tuple[str, str, str, str], list[tuple[_Model, _Model]]]]:
    """Pairs by their sizes, each pair of one run once: ((size, run, size, relation), pairs)."""
    groups: dict[tuple[str, str, str, str], list[tuple[_Model, _Model]]] = {}
    for place, first in enumerate(models):
        for second in compared[place + 1 :] if same else compared:
            left, right = first, second
            if same and sizes.index(left.size) > sizes.index(right.size):
                left, right = right, left
            relation = "runs" if not same else "seeds" if left.size == right.size else "sizes"
            groups.setdefault((left.size, right.run, right.size, relation), []).append((left, right))
    yield from groups.items()


def _compare(
    pairs: list[tuple[_Model, _Model]], here: _Readings, matched: _Matched | None, step: int, options: Options
) -> tuple[list[tuple[Any, ...]], tuple[Any, ...]]:
    """Rows of each pair, and the mean over pairs, with intervals; nothing where fewer than two sequences have words."""
    from phasescope.measures import bootstrap_weights, clustered_pearson, interval

    sequence = here.units.sequence[here.units.measured]
    order = np.arange(len(sequence)) if matched is None else np.argsort(matched.here, kind="stable")
    ours = order if matched is None else matched.here[order]
    theirs = order if matched is None else matched.there[order]
    present, starts = np.unique(sequence[ours], return_index=True)
    if len(present) < 2:
        return [], ()
    left = list(dict.fromkeys(first for first, _ in pairs))
    right = list(dict.fromkeys(second for _, second in pairs))
    weights = bootstrap_weights(len(present), options.resamples, options.seed).numpy()
    estimate, replicates = clustered_pearson(
        np.stack([model.values[ours] for model in left]),
        np.stack([model.values[theirs] for model in right]),
        starts,
        weights,
    )
    at = [(right.index(second), left.index(first)) for first, second in pairs]
    rows, columns = (np.array(part) for part in zip(*at, strict=True))
    values, drawn = estimate[rows, columns], replicates[:, rows, columns]
    low, high = interval(drawn, values, options.level)
    each = [
        (
            a.size,
            a.seed,
            b.run,
            b.size,
            b.seed,
            step,
            float(value),
            float(bottom),
            float(min(top, 1)),
            options.level,
            len(ours),
        )
        for (a, b), value, bottom, top in zip(pairs, values, low.numpy(), high.numpy(), strict=True)
    ]
    mean, mean_drawn = values.mean(), drawn.mean(1)
    bottom, top = interval(mean_drawn, np.array(mean), options.level)
    return each, (
        float(mean), float(bottom), float(top.clamp(max=1)), options.level, len(pairs), len(present), len(ours)
    )  # fmt: skip
