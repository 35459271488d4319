"""Which simple heuristics explain what the models predict, and when? (study C, docs/analyses/heuristics.md)

Per checkpoint, the correlation of word log-probabilities with those of n-grams (n = 1 … 5, stupid backoff, counted in a
reference corpus) and with the similarity of a word to its context; a regression on unigram, 5-gram and similarity; and
the step at which each correlation peaks. Intervals by a bootstrap over sequences.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.heuristics.columns import HEURISTIC_FIT, HEURISTIC_PEAKS, HEURISTICS
from phasescope.analyses.heuristics.references import NoReferenceError, Reference, find_reference, units_of
from phasescope.analyses.reader import as_table
from phasescope.analyses.seed_ends import short_seeds
from phasescope.analyses.word_readings import Trajectory, Units, read_trajectories, token_units, word_units
from phasescope.measures.peaks import across_seeds, find_peaks

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64, Int
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

NGRAMS = ("unigram", "bigram", "trigram", "4-gram", "5-gram")
SIMILARITIES = ("similarity", "similarity_weighted")
# Study C regresses on these three.
_TERMS = ("unigram", "5-gram", "similarity_weighted")


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `heuristics`, `heuristic_peaks` and `heuristic_fit`.

    Without a corpus to count in they are empty, and `attrs["absent"]` says why.
    """
    reader.require_shards()
    tables: dict[str, list[tuple[Any, ...]]] = {"heuristics": [], "heuristic_peaks": [], "heuristic_fit": []}
    for unit in (options.unit,) if options.unit else units_of(reader, options.reference):
        try:
            found = find_reference(reader, options.reference, options.vectors, unit)
        except NoReferenceError as error:
            return _tables(tables, str(error))
        units = token_units(reader) if unit == "token" else word_units(reader, found.counts)
        if units.measured.any():
            made = rows_of(read_trajectories(reader, units), _predictors(units, found, unit), options)
            for name, rows in made.items():
                tables[name] += rows
    return _tables(
        tables, "" if tables["heuristics"] else "No whole words were read with outputs: capture more of them."
    )


def rows_of(
    trajectories: Iterable[Trajectory], predictors: Predictors, options: Options
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of each table for one unit, from (size, seed, steps, log-probabilities) of each trajectory."""
    correlations: list[tuple[Any, ...]] = []
    fits: list[tuple[Any, ...]] = []
    curves: dict[str, dict[int, _Curves]] = {}
    unit = predictors.unit
    for size, seed, steps, observed in trajectories:
        curve = _correlate(predictors, observed, steps, options)
        curves.setdefault(size, {})[seed] = curve
        correlations += [(size, seed, *row) for row in _correlation_rows(curve, predictors, options)]
        fits += [(size, seed, unit, *row) for row in _fit_rows(predictors, observed, steps, options)]
    peaks = [(size, unit, *row) for size, seeds in curves.items() for row in _peak_rows(seeds, predictors, options)]
    return {"heuristics": correlations, "heuristic_peaks": peaks, "heuristic_fit": fits}


@dataclass(frozen=True, eq=False)
class Predictors:
    """What is compared with the models: one row each over the measured units, NaN where it has no value."""

    names: list[str]
    values: Float64[np.ndarray, "predictors units"]
    sequence: Int[np.ndarray, "units"]
    unit: str
    reference: str
    missing: dict[str, str] = field(default_factory=dict)  # predictors without any value, and why

    def known(self, name: str) -> Bool[np.ndarray, "units"]:
        known: Bool[np.ndarray, "units"] = np.isfinite(self.values[self.names.index(name)])
        return known


@dataclass(frozen=True, eq=False)
class _Curves:
    """Correlations along one trajectory, by measure (`pearson`, `spearman`)."""

    steps: Int[np.ndarray, "steps"]
    estimate: dict[str, Float64[np.ndarray, "predictors steps"]]
    replicates: dict[str, Float64[np.ndarray, "resamples predictors steps"]]


def _tables(rows: dict[str, list[tuple[Any, ...]]], absent: str) -> dict[str, DataFrame]:
    columns = {"heuristics": HEURISTICS, "heuristic_peaks": HEURISTIC_PEAKS, "heuristic_fit": HEURISTIC_FIT}
    tables = {name: as_table(rows[name], columns[name]) for name in columns}
    if absent:
        for table in tables.values():
            table.attrs["absent"] = absent
    return tables


def _predictors(units: Units, found: Reference, unit: str) -> Predictors:
    from phasescope.texts import contextual_similarity, ngram_log_probabilities

    orders = min(len(NGRAMS), found.counts.longest)
    values = list(ngram_log_probabilities(units.ids, units.place, found.counts, orders))
    missing = dict.fromkeys(NGRAMS[orders:], "the reference counts words, not n-grams")
    if found.vectors is not None and units.words is not None:
        vectors = found.vectors.of(units.words.words)
        values += [contextual_similarity(vectors, units.place, weighted=weighted) for weighted in (False, True)]
    else:
        missing |= dict.fromkeys(SIMILARITIES, found.no_vectors)
    names = [name for name in (*NGRAMS, *SIMILARITIES) if name not in missing]
    measured = np.stack(values)[:, units.measured]
    return Predictors(names, measured, units.sequence[units.measured], unit, found.source, missing)


def _correlate(
    predictors: Predictors, observed: Float64[np.ndarray, "steps units"], steps: list[int], options: Options
) -> _Curves:
    """Predictors that have values for the same units are correlated together."""
    from phasescope.measures import bootstrap_weights, clustered_pearson, clustered_spearman

    shape = (len(predictors.names), len(steps))
    estimate = {name: np.full(shape, math.nan) for name in ("pearson", "spearman")}
    replicates = {name: np.full((options.resamples, *shape), math.nan) for name in estimate}
    sequences = int(predictors.sequence.max()) + 1
    weights = bootstrap_weights(sequences, options.resamples, options.seed).numpy()
    finite = np.isfinite(predictors.values)
    for pattern in np.unique(finite, axis=0):
        rows = np.flatnonzero((finite == pattern).all(1))
        if pattern.sum() < 2:
            continue
        starts, present = _clusters(predictors.sequence[pattern])
        x, y = predictors.values[np.ix_(rows, pattern)], observed[:, pattern]
        for name, correlate in (("pearson", clustered_pearson), ("spearman", clustered_spearman)):
            value, drawn = correlate(x, y, starts, weights[:, present])
            estimate[name][rows] = value.T
            # A resample that draws none of the sequences that have values says nothing.
            replicates[name][:, rows] = drawn.transpose(0, 2, 1)
    return _Curves(np.array(steps), estimate, replicates)


def _clusters(sequence: Int[np.ndarray, "units"]) -> tuple[Int[np.ndarray, "clusters"], Int[np.ndarray, "clusters"]]:
    """Where each window's units begin, and which windows these are."""
    present, starts = np.unique(sequence, return_index=True)
    return starts, present


def _correlation_rows(curves: _Curves, predictors: Predictors, options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.measures import interval

    numbers: list[Any] = []
    for name, estimate in curves.estimate.items():
        low, high = interval(curves.replicates[name], estimate, options.level)
        numbers += [estimate, low.clamp(min=-1).numpy(), high.clamp(max=1).numpy()]
    sequences = len(np.unique(predictors.sequence))
    for row, name in enumerate(predictors.names):
        words = int(predictors.known(name).sum())
        for column, step in enumerate(curves.steps):
            values = [float(table[row, column]) for table in numbers]
            if sequences < 2:  # one sequence does not say how sequences differ
                values = [values[0], math.nan, math.nan, values[3], math.nan, math.nan]
            reason = _why_nan(predictors.values[row]) if math.isnan(values[0]) else ""
            about = (options.level, sequences, words, predictors.reference, reason)
            yield (int(step), predictors.unit, name, *values, *about)
    for name, reason in predictors.missing.items():
        for step in curves.steps:
            nothing = (math.nan,) * 6
            yield (
                int(step),
                predictors.unit,
                name,
                *nothing,
                options.level,
                sequences,
                0,
                predictors.reference,
                reason,
            )


def _why_nan(values: Float64[np.ndarray, "units"]) -> str:
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return "fewer than two words have a value"
    if (known == known[0]).all():
        return "all words have the same value: is the reference in another language or script?"
    return "the models find all words equally probable"


def _peak_rows(of_seeds: dict[int, _Curves], predictors: Predictors, options: Options) -> Iterator[tuple[Any, ...]]:
    """Of every seed, and (seed missing) of the mean over seeds at the steps that all have; n-grams only.

    Seeds that end before others are left out of the mean, which would end with them.
    """
    short = short_seeds({seed: int(curves.steps.max(initial=0)) for seed, curves in of_seeds.items()})
    together = {seed: curves for seed, curves in of_seeds.items() if seed not in short}
    ngrams = [place for place, name in enumerate(predictors.names) if name in NGRAMS]
    names = [predictors.names[place] for place in ngrams]
    for measure in ("pearson", "spearman"):
        for seed, curves in of_seeds.items():
            parts = (curves.estimate[measure][ngrams], curves.replicates[measure][:, ngrams])
            for peak in find_peaks(names, curves.steps, *parts, options.level):
                yield (seed, measure, *_peak_row(peak), options.level, 1)
        if len(together) > 1:
            steps = sorted(set.intersection(*(set(curves.steps.tolist()) for curves in together.values())))
            if not steps:
                continue
            each = [np.searchsorted(curves.steps, steps) for curves in together.values()]
            stacked = [
                (curves.estimate[measure][ngrams][:, at], curves.replicates[measure][:, ngrams][:, :, at])
                for curves, at in zip(together.values(), each, strict=True)
            ]
            mean, drawn = across_seeds(
                np.stack([estimate for estimate, _ in stacked]),
                np.stack([replicates for _, replicates in stacked], axis=1),
                options.resamples,
                options.seed,
            )
            for peak in find_peaks(names, np.array(steps), mean, drawn, options.level):
                yield (None, measure, *_peak_row(peak), options.level, len(together))


def _peak_row(peak: Any) -> tuple[Any, ...]:
    before = math.nan if peak.before_next is None else peak.before_next
    return (peak.name, peak.step, peak.low, peak.high, peak.value, before, peak.at_end)


def _fit_rows(
    predictors: Predictors, observed: Float64[np.ndarray, "steps units"], steps: list[int], options: Options
) -> Iterator[tuple[Any, ...]]:
    """The regression on the terms that vary; nothing where a half of the windows would be too few."""
    from phasescope.measures import clustered_regression, interval

    terms = [name for name in _TERMS if name in predictors.names and np.ptp(_finite(predictors, name)) > 0]
    if not terms:
        return
    known = np.logical_and.reduce([predictors.known(name) for name in terms])
    starts, present = _clusters(predictors.sequence[known])
    if len(present) < 4:
        return
    training = np.random.default_rng(options.seed).permutation(len(present)) < len(present) // 2
    x = predictors.values[[predictors.names.index(name) for name in terms]][:, known]
    fit = clustered_regression(x, observed[:, known], starts, training, resamples=options.resamples, seed=options.seed)
    parts = [
        [np.asarray(values), *(edge.numpy() for edge in interval(drawn, values, options.level))]
        for values, drawn in (
            (fit.coefficients, fit.coefficient_replicates),
            (fit.r2_training, fit.r2_training_replicates),
            (fit.r2_held_out, fit.r2_held_out_replicates),
        )
    ]
    sizes = np.diff(np.append(starts, int(known.sum())))
    words = (int(sizes[training].sum()), int(sizes[~training].sum()))
    for row, step in enumerate(steps):
        quality = [float(values[row]) for part in parts[1:] for values in part]
        for column, term in enumerate(terms):
            yield (step, term, *(float(values[row, column]) for values in parts[0]), *quality, options.level, *words)


def _finite(predictors: Predictors, name: str) -> Float64[np.ndarray, "known"]:
    values = predictors.values[predictors.names.index(name)]
    known = values[np.isfinite(values)]
    return known if len(known) else np.zeros(1)
