"""Phases as the command `phasescope phases` gives them: of any table, or of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.analyses.phases.curves import Curve, curves_of, read_any_table
from phasescope.console import progress
from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean
from phasescope.measures.phases import Boundary, Highest, Phase, Phases, PhaseSearch
from phasescope.workers import Here, Processes, Task, cores, done_by

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options


# Curves of the same steps are searched together, so many at most; between them the progress is shown.
_AT_ONCE = 64
_WORTH_A_PROCESS = 3
"""So many times `_AT_ONCE` take longer than it takes to begin a process."""


@dataclass(frozen=True)
class FoundPhases:
    """The phases of one curve, and what tells it apart; a consensus of seeds has no seed."""

    group: dict[str, Any]
    phases: Phases

    def record(self) -> dict[str, Any]:
        """For JSON; what is not known is null."""
        peak = self.phases.peak
        return {
            "group": self.group,
            "phases": [
                {"start": _step(p.start), "end": _step(p.end), "label": p.label, "slope": _number(p.slope)}
                for p in self.phases.phases
            ],
            "boundaries": [_place(boundary) for boundary in self.phases.boundaries],
            "peak": None if peak is None else _place(peak),
        }


def phases_in_table(
    path: Path, step: str, value: str | None, by: Sequence[str], seed: str | None, options: Options
) -> list[FoundPhases]:
    """The phases of every group of a table on disk, and of the consensus of groups that differ in the seed only.

    Raises:
        PhasescopeError: the table cannot be read, has no such column, or holds what is no curve (`curves_of`).
    """
    table = read_any_table(path)
    if value is None:
        raise BadArgumentError(f"Name the column of values with --value. {did_you_mean('', table.columns)}")
    curves = curves_of(table, step=step, value=value, by=by, seed=seed)
    with progress(len(curves), "finding phases", "curves") as tracker:
        found = phases_of(curves, options, tracker.advance)
    return [FoundPhases(curve.group, phases) for curve, phases in zip(curves, found, strict=True)]


def phases_of(
    curves: Sequence[Curve], options: Options, advance: Callable[[int], None] = lambda _: None
) -> list[Phases]:
    """The phases of each curve, the same whatever the number of processors, all of which work on many.

    advance: told of how many curves more the phases are known.
    """
    # Those with the same steps side by side.
    order = sorted(range(len(curves)), key=lambda number: curves[number].steps.tolist())
    parts = [order[start : start + _AT_ONCE] for start in range(0, len(order), _AT_ONCE)]
    arrays = [[(curves[number].steps, curves[number].values) for number in part] for part in parts]
    tasks = [Task("of", (some, part), "phases") for some, part in zip(arrays, parts, strict=True)]
    search = PhaseSearch(options.resamples, options.level, options.seed)
    processors = min(len(parts) // _WORTH_A_PROCESS, cores())
    found: dict[int, Phases] = {}
    # Processes, not threads: these are many small products, and between them Python lets only one thread go on.
    with Processes(search, processors, threads=1) if processors > 1 else Here(search) as crew:
        for ended in done_by(crew, tasks, lambda _: None):
            if ended.died:
                raise PhasescopeError(f"The search for phases ends whoever does it ({ended.died}). Is memory short?")
            found.update(zip(ended.task.arguments[1], ended.result, strict=True))
            advance(len(ended.result))
    return [found[number] for number in range(len(curves))]


def phases_in_run(phases: DataFrame, peaks: DataFrame) -> list[FoundPhases]:
    """The phases of a run's behaviour from its tables `phases` and `peaks`."""
    keys = ["curve", "size", "seed"]
    highest = {
        _key(row, keys): Highest(row["peak_step"], row["low"], row["high"], row["at_end"])
        for row in peaks.to_dict("records")
    }
    found = []
    for key, rows in phases.groupby(keys, sort=False, dropna=False):
        records = rows.to_dict("records")
        stretches = tuple(
            Phase(r["start"], r["end"], r["label"], r["slope"], r["slope_low"], r["slope_high"]) for r in records
        )
        boundaries = tuple(Boundary(r["start"], r["start_low"], r["start_high"]) for r in records[1:])
        first = records[0]
        peak = highest.get(_key(first, keys))
        made = Phases(stretches, boundaries, peak, first["criterion"], first["errors"], first["points"])
        group = {name: _plain(part) for name, part in zip(keys, key, strict=True) if not _missing(part)}
        found.append(FoundPhases(group, made))
    return found


def _key(row: dict[Any, Any], keys: Sequence[str]) -> tuple[Any, ...]:
    return tuple(None if _missing(row[key]) else row[key] for key in keys)


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))


def _plain(value: Any) -> Any:
    return value if isinstance(value, str) else int(value)


def _place(place: Boundary | Highest) -> dict[str, float | int | None]:
    return {"step": _step(place.step), "low": _step(place.low), "high": _step(place.high)}


def _step(value: float) -> float | int | None:
    """A step, to hundredths; without decimals where it has none."""
    rounded = _number(round(value, 2))
    return int(rounded) if rounded is not None and rounded == int(rounded) else rounded


def _number(value: float) -> float | None:
    return None if value != value else float(value)
