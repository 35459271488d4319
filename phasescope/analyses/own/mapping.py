"""One function, of every site, checkpoint and head of a run: a tidy table."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.analyses.choosing import chosen, sites_named
from phasescope.analyses.own.asked import Asked
from phasescope.analyses.own.calling import Caller
from phasescope.analyses.own.cells import Cell, rounds
from phasescope.analyses.own.kept import MEASURED, digest_of, keep, kept_as_asked, require_name
from phasescope.analyses.reader import as_table, sample_weights
from phasescope.console import progress
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.plugins import Measure

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.choosing import Trajectory
    from phasescope.analyses.reader import RunReader


def map_measure(reader: RunReader, measure: Measure, package: str, asked: Asked) -> DataFrame:
    """The table of a measure: kept if it was made of this function and of what is there now, else made and kept.

    Raises `PhasescopeError` for a name that is taken, for sites or steps that are not there, for a function that gives
    something else than numbers, or none at all.
    """
    reader.require_whole()
    require_name(measure.name)
    trajectories = chosen(reader, steps=asked.steps)
    sites = {size: sites_named(reader, size, asked.sites) for size, _, _ in trajectories}
    digest = digest_of(reader, measure, asked, sites)
    if (there := kept_as_asked(reader, measure.name, package, digest)) is not None:
        return there
    reader.folder.require_writable()
    caller = Caller(measure)
    rows = list(_rows(reader, caller, asked, trajectories, sites))
    caller.require_numbers()
    if not rows:
        why = _NOTHING.get(asked.pairs or "", "no site is there")
        raise PhasescopeError(f"{measure.name} has nothing to compare: {why}.")
    names = list(caller.quantities)
    made: DataFrame = as_table([whole for row in rows for whole in _expanded(row, names)], MEASURED)
    if caller.note:
        warnings.warn(caller.note, PhasescopeWarning, stacklevel=3)
    made.attrs = {"units": measure.units, "pairs": asked.pairs or "", "note": caller.note, "package": package}
    return keep(reader, measure, package, made, digest)


_NOTHING = {
    "seeds": "two seeds are needed at one step",
    "layers": "two layers are needed, of a component that is more than its heads",
    "previous": "two steps are needed",
}


def _rows(
    reader: RunReader, caller: Caller, asked: Asked, trajectories: Sequence[Trajectory], sites: dict[str, list[str]]
) -> Iterator[tuple[Any, ...]]:
    planned = rounds(reader, asked.pairs, trajectories, sites)
    resampled = _resampler(reader, asked)
    with progress(sum(one.units for one in planned), f"measuring {caller.measure.name}", "checkpoints") as tracker:
        for one in planned:
            for unit in one.go():
                for cell in unit:
                    yield from _cell_rows(cell, caller, asked, resampled)
                tracker.advance()


def _cell_rows(
    cell: Cell, caller: Caller, asked: Asked, resampled: Callable[[Cell], Iterator[tuple[Tensor, ...]]]
) -> Iterator[tuple[Any, ...]]:
    site, samples = cell.site, len(cell.arrays[0])
    where = (cell.key.size, cell.key.seed, cell.key.step, site.name, site.layer, site.component, cell.head, cell.other)
    found, reason = caller(cell)
    if reason:
        yield (*where, None, math.nan, math.nan, math.nan, asked.level, samples, reason)
        return
    bounds = _bounds(found, [caller.again(arrays) for arrays in resampled(cell)], asked.level)
    for name, value in found.items():
        why = "it gave NaN" if math.isnan(value) else ""
        yield (*where, name, value, *bounds[name], asked.level, samples, why)


def _resampler(reader: RunReader, asked: Asked) -> Callable[[Cell], Iterator[tuple[Tensor, ...]]]:
    """The arrays of a cell in each resample: whole sequences are drawn, for all cells the same as for `convergence`."""
    import torch

    samples = reader.inputs.sampled
    weights = sample_weights(reader.inputs.sequences, samples, asked.resamples, asked.seed)

    def resampled(cell: Cell) -> Iterator[tuple[Tensor, ...]]:
        for counts in weights:
            rows = torch.arange(samples).repeat_interleave(counts)
            yield tuple(x[rows] for x in cell.arrays)

    return resampled


def _bounds(
    found: dict[str, float], replicates: Sequence[dict[str, float]], level: float
) -> dict[str, tuple[float, float]]:
    """(low, high) of each quantity; NaN without resamples."""
    import torch

    from phasescope.measures import interval

    if not replicates:
        return dict.fromkeys(found, (math.nan, math.nan))
    drawn = torch.tensor([[one.get(name, math.nan) for name in found] for one in replicates], dtype=torch.float64)
    low, high = interval(drawn, torch.tensor(list(found.values()), dtype=torch.float64), level)
    return {name: (float(a), float(b)) for name, a, b in zip(found, low, high, strict=True)}


def _expanded(row: tuple[Any, ...], quantities: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """A cell that gave nothing, as a row for each quantity that others gave."""
    place = list(MEASURED).index("quantity")
    for name in [row[place]] if row[place] is not None else quantities:
        yield (*row[:place], name, *row[place + 1 :])
