"""Rows of the tables about probes, with intervals; all of them draw the same held-out sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.probing.cells import NOT_FINITE, probes_of_shard
from phasescope.analyses.probing.columns import PROBED, PROBING
from phasescope.analyses.probing.labels import NONE
from phasescope.analyses.reader import as_table

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.probing.labels import Label, Tasks
    from phasescope.analyses.reader import RunReader

# Goes up when the same shards give other numbers.
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Draws:
    """The resamples: how often each held-out sequence, and each training sequence, is drawn.

    Both are for samples: `[resamples, samples]`, in the order of what a probe found.
    """

    held_out: Float64[np.ndarray, "resamples held_out"]
    train: Float64[np.ndarray, "resamples train"]

    @classmethod
    def of(cls, tasks: Tasks, options: Options) -> Draws:
        from phasescope.measures import bootstrap_weights

        drawn = []
        for samples in (np.flatnonzero(tasks.held_out), tasks.order):
            _, sequence = np.unique(tasks.sequence[samples], return_inverse=True)
            weights = bootstrap_weights(int(sequence.max()) + 1, options.resamples, options.seed).double().numpy()
            drawn.append(weights[:, sequence])
        return cls(*drawn)


@dataclass(frozen=True, eq=False)
class _Cell:
    """What one probe found, or the mean of several: all are of the same samples."""

    right: Float64[np.ndarray, "held_out"]
    control: Float64[np.ndarray, "held_out"]
    bits: Float64[np.ndarray, "train"]


def tables(reader: RunReader, tasks: Tasks, components: Sequence[str], options: Options) -> dict[str, DataFrame]:
    """Tables `probing` and `probed`."""
    from phasescope.hooks import Site

    labels = {label.name: label for label in tasks.labels}
    draws = Draws.of(tasks, options)
    majority = {name: _majority(label, tasks) for name, label in labels.items()}
    begin: dict[tuple[Any, ...], _Cell] = {}
    each: list[tuple[Any, ...]] = []
    whole: list[tuple[Any, ...]] = []
    asked = (_VERSION, list(components), tasks.digest)
    shards = parts_by_shard(reader, "probing", asked, lambda key: probes_of_shard(reader, key, components, tasks))
    for key, part in shards:
        together: dict[tuple[str, str], list[_Cell]] = {}
        keys = (key.size, key.seed, key.step)
        for place, (site, name) in enumerate(zip(part["sites"].tolist(), part["labels"].tolist(), strict=True)):
            cell = _Cell(*(part[array][place].astype(np.float64) for array in ("right", "control", "bits")))
            first = begin.setdefault((*keys[:2], site, name), cell)
            where = Site.parse(site)
            label = labels[name]
            numbers = _numbers(cell, first, majority[name], len(label.classes), draws, options.level)
            penalty = float(part["C"][place])
            about = _about(label, tasks, draws, options.level, "" if np.isfinite(penalty) else NOT_FINITE)
            each.append((*keys, site, where.layer, where.component, name, *numbers, penalty, *about, label.left_out))
            together.setdefault((where.component, name), []).append(cell)
        whole += _over_layers(keys, together, begin, labels, majority, tasks, draws, options.level)
    return {"probing": as_table(each, PROBING), "probed": as_table(whole, PROBED)}


def _over_layers(
    keys: tuple[str, int, int],
    together: Mapping[tuple[str, str], Sequence[_Cell]],
    begin: dict[tuple[Any, ...], _Cell],
    labels: Mapping[str, Label],
    majority: Mapping[str, float],
    tasks: Tasks,
    draws: Draws,
    level: float,
) -> Iterator[tuple[Any, ...]]:
    """Rows of the mean over layers: no layer is chosen, so that none is chosen for its luck."""
    for (component, name), cells in together.items():
        arrays = (np.mean([getattr(cell, array) for cell in cells], 0) for array in ("right", "control", "bits"))
        cell = _Cell(*arrays)
        first = begin.setdefault((*keys[:2], component, name), cell)
        label = labels[name]
        numbers = _numbers(cell, first, majority[name], len(label.classes), draws, level)
        reason = "" if np.isfinite(numbers[0]) else NOT_FINITE
        yield (*keys, component, name, *numbers, len(cells), *_about(label, tasks, draws, level, reason))


def _numbers(cell: _Cell, first: _Cell, majority: float, classes: int, draws: Draws, level: float) -> tuple[float, ...]:
    """As the columns from `accuracy` to `compression`."""
    accuracy = mean_of_samples(cell.right, draws.held_out, level)
    control = mean_of_samples(cell.control, draws.held_out, level)[0]
    selectivity = mean_of_samples(cell.right - cell.control, draws.held_out, level)
    gain = mean_of_samples(cell.right - first.right, draws.held_out, level)
    bits = mean_of_samples(cell.bits, draws.train, level)
    uniform = float(np.log2(classes))
    return (*accuracy, majority, control, *selectivity, *gain, *bits, uniform, uniform / bits[0])


def mean_of_samples(
    values: Float64[np.ndarray, "samples"], weights: Float64[np.ndarray, "resamples samples"], level: float
) -> tuple[float, float, float]:
    """(mean, low, high) of the values that are there."""
    from phasescope.measures import interval

    known = np.isfinite(values)
    if not known.any():
        return (np.nan,) * 3
    mine = weights[:, known]
    with np.errstate(invalid="ignore"):  # a resample may have none of the samples: it does not count
        drawn = mine @ values[known] / mine.sum(1)
    mean = np.array(values[known].mean())
    low, high = interval(drawn, mean, level)
    return float(mean), float(low), float(high)


def _majority(label: Label, tasks: Tasks) -> float:
    """How often the most frequent class of the training samples is right on those held out."""
    train, held = (label.answers[tasks.held_out == out] for out in (False, True))
    most = int(np.bincount(train[train != NONE]).argmax())
    return float((held[held != NONE] == most).mean())


def _about(label: Label, tasks: Tasks, draws: Draws, level: float, reason: str) -> tuple[Any, ...]:
    """As the columns from `classes` to `reason`."""
    known = label.answers != NONE
    sequences = len(np.unique(tasks.sequence[known & tasks.held_out]))
    train, held = int((known & ~tasks.held_out).sum()), int((known & tasks.held_out).sum())
    return len(label.classes), train, held, sequences, level, reason
