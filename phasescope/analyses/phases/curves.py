"""Curves in any tidy table: a column of steps, a column of values, and columns that tell curves apart."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.store.foreign_tables import SEPARATORS, about_number, open_foreign, telling_apart

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame, Series


@dataclass(frozen=True, eq=False)
class Curve:
    """One curve, or one for each seed at the same steps.

    Attributes:
        group: what tells it apart; the seeds of a consensus have none of their own.
        steps: ascending.
        values: `[seeds, checkpoints]`; NaN where there is no value.
    """

    group: dict[str, Any] = field(default_factory=dict)
    steps: Float64[np.ndarray, "checkpoints"] = field(default_factory=lambda: np.zeros(0))
    values: Float64[np.ndarray, "seeds checkpoints"] = field(default_factory=lambda: np.zeros((1, 0)))

    @property
    def name(self) -> str:
        return ", ".join(f"{key} {value}" for key, value in self.group.items()) or "the curve"


def read_any_table(path: Path) -> DataFrame:
    """A .csv, .tsv or .parquet file; `PhasescopeError` where it is none, is damaged, or holds no rows."""
    if path.suffix not in SEPARATORS:
        raise PhasescopeError(f"{path} is neither .csv, .tsv nor .parquet: phases are found in tables of these.")
    if not path.is_file():
        raise PhasescopeError(f"There is no table {path}.")
    if not path.stat().st_size:
        raise PhasescopeError(f"{path} is empty: phases need a row for every step.")
    try:
        table = open_foreign(path)
    except UnicodeDecodeError as error:
        raise PhasescopeError(f"{path} is no text in UTF-8: save it as {path.suffix} in that encoding.") from error
    except (OSError, ValueError) as error:  # pandas' own errors of parsing are ValueErrors
        raise PhasescopeError(f"{path} cannot be read as {path.suffix} ({error}): write it again.") from error
    if table.empty:
        raise PhasescopeError(f"{path} has no rows: phases need a row for every step.")
    return table


def curves_of(
    table: DataFrame, *, step: str, value: str, by: Sequence[str] = (), seed: str | None = None
) -> list[Curve]:
    """The curve of every group of a table, and after the seeds of a group their consensus.

    Args:
        step, value: columns. Rows may be in any order; a missing or infinite value is a point that is not there.
        by: columns whose values tell curves apart.
        seed: which of these is the seed; None: the one called `seed`, if there is one. Groups come in the order of the
            table, the seeds of a group in ascending order.

    Raises:
        PhasescopeError: there is no such column; steps are no numbers, missing or negative; values are no numbers; a
            group has two values at one step.
    """
    for column in (step, value, *by, *([seed] if seed else [])):
        if column not in table:
            raise PhasescopeError(f"The table has no column {column!r}. {did_you_mean(column, table.columns)}")
    by = [*by, *([seed] if seed and seed not in by else [])]
    seed = seed or next((column for column in by if column.lower() == "seed"), None)
    steps, values = _steps(table[step], step, table.columns), _numbers(table[value], value, table.columns)
    numbers = table[by].assign(**{"step ": steps, "value ": values})
    found: list[Curve] = []
    groups = [column for column in by if column != seed]
    for group, rows in _groups(numbers, groups):
        if seed is None:
            found.append(_curve(group, rows, table, by, step, value))
            continue
        of_seeds = sorted(_groups(rows, [seed]), key=lambda pair: _counted(pair[0][seed]))
        singles = [_curve({**group, **own}, own_rows, table, by, step, value) for own, own_rows in of_seeds]
        found += singles
        if len(singles) > 1:
            found.append(together(group, singles))
    return found


def together(group: dict[str, Any], curves: Sequence[Curve]) -> Curve:
    """Curves of several seeds as one: NaN where a seed has no value at a step that another has."""
    steps = np.unique(np.concatenate([curve.steps for curve in curves]))
    values = np.full((len(curves), len(steps)), np.nan)
    for row, curve in zip(values, curves, strict=True):
        row[np.searchsorted(steps, curve.steps)] = curve.values[0]
    return Curve(group, steps, values)


def _groups(table: DataFrame, by: Sequence[str]) -> Iterator[tuple[dict[str, Any], DataFrame]]:
    if not by:
        yield {}, table
        return
    for key, rows in table.groupby(list(by), sort=False, dropna=False):
        values: tuple[Hashable, ...] = key if isinstance(key, tuple) else (key,)
        yield {name: _plain(one) for name, one in zip(by, values, strict=True)}, rows


def _plain(value: Any) -> Any:
    """A value as JSON can hold it."""
    import pandas as pd

    value = value.item() if isinstance(value, np.generic) else value
    return None if pd.isna(value) else value if isinstance(value, str | int | float | bool) else str(value)


def _counted(seed: Any) -> tuple[list[int], str]:
    """Orders seeds as people count them, numbers or names: `seed2` before `seed10`."""
    return [int(digits) for digits in re.findall(r"\d+", str(seed))], str(seed)


def _curve(group: dict[str, Any], rows: DataFrame, table: DataFrame, by: Sequence[str], step: str, value: str) -> Curve:
    rows = rows.sort_values("step ", kind="stable")
    curve = Curve(group, rows["step "].to_numpy(np.float64), rows["value "].to_numpy(np.float64)[None])
    twice = curve.steps[1:][np.diff(curve.steps) == 0]
    if len(twice):
        others = telling_apart(
            table, [*by, step], [str(column) for column in table if column not in (*by, step, value)]
        )
        remedy = (
            f"name the columns that tell curves apart with --by. There are: {', '.join(others)}."
            if others
            else "keep one row for each step, or add a column that tells curves apart and name it with --by."
        )
        raise PhasescopeError(
            f"{curve.name[0].upper()}{curve.name[1:]} has several values at step {twice[0]:g}: {remedy}"
        )
    return curve


def _steps(column: Series[Any], name: str, columns: Iterable[object]) -> Series[float]:
    steps = _numbers(column, name, columns)
    if not np.isfinite(steps).all():
        row = _first(~np.isfinite(steps))
        raise PhasescopeError(f"The column {name!r} of steps is empty in row {row}: fill it, or leave that row out.")
    if (steps < 0).any():
        raise PhasescopeError(
            f"The column {name!r} has step {steps[steps < 0].iloc[0]:g} in row {_first(steps < 0)}: "
            "steps are counted from 0."
        )
    return steps


def _numbers(column: Series[Any], name: str, columns: Iterable[object]) -> Series[float]:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = numbers.isna() & column.notna()
    if bad.any():
        held, row, known = column[bad].iloc[0], _first(bad), ", ".join(map(str, columns))
        raise PhasescopeError(
            f"The column {name!r} holds {held!r} in row {row}, which is not a number: correct it, or choose another of "
            f"the columns: {known}. {about_number(held) if isinstance(held, str) else ''}".rstrip()
        )
    return numbers


def _first(where: Any) -> int:
    """The first row of which something is true, counted from 1 as a reader counts them, without the header."""
    return int(np.flatnonzero(np.asarray(where))[0]) + 1
