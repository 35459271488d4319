"""Tables of curves along training that others made: CSV, TSV or Parquet with a column of steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean
from phasescope.store.foreign_tables import (
    SEPARATORS,
    about_number,
    is_other_axis,
    is_token_axis,
    is_written_index,
    open_foreign,
    telling_apart,
)
from phasescope.texts.readers.odd_rows import SHARE, OddRows
from phasescope.visits.importing.checkpoint_names import CheckpointNames
from phasescope.visits.importing.harness_results import HIGHER_IS_BETTER

if TYPE_CHECKING:
    from pandas import DataFrame, Series

ROLES = {
    "step": ("step", "steps", "trainingstep", "globalstep", "modelstep", "iteration", "checkpoint"),
    "size": ("size", "modelsize", "model", "parameters", "params"),
    "seed": ("seed", "modelseed"),
    "task": ("task", "benchmark", "dataset"),
    "metric": ("metric", "measure"),
    "value": ("value", "score"),
    "stderr": ("stderr", "stderror", "standarderror", "se", "sem"),
    "low": ("low", "lower", "cilow", "cilower"),
    "high": ("high", "upper", "cihigh", "ciupper"),
    "shots": ("shots", "nshot", "numfewshot"),
}
"""What a column can be, and the names by which it is found: in any case, without spaces, underscores and the like."""
_NUMBER = re.compile(r"\s*[-+]?(\d[\d,]*\.?\d*|\.\d+)([eE][-+]?\d+)?\s*")
_NUMBERS = ("value", "stderr", "low", "high")


def is_table(path: Path) -> bool:
    """Whether a file is a table by its name."""
    return path.suffix.lower() in SEPARATORS


def read_curves(path: Path, names: CheckpointNames, columns: Mapping[str, Sequence[str]]) -> DataFrame:
    """The numbers in one table: columns size, seed, step (missing where not told), task, metric, value, ….

    Args:
        path: a .csv, .tsv or .parquet file. A row is one number (there is a column `value`), or every other column
            with numbers is a metric, with `<metric>_stderr`, `<metric>_low` and `<metric>_high` if they are there.
        names: for models that columns, or the file's name, name.
        columns: which column is what, of `ROLES`, for those that have other names. Several that are the task, or the
            metric, tell curves apart together.

    One odd row of many, whose step or seed is none, is left out and told; an odd number is missing.

    Raises `PhasescopeError` for a file that is no table, a column that is not there, steps that are no whole numbers,
    and rows that have all alike but the number.
    """
    import pandas as pd

    table = _opened(path)
    roles = _roles(path, table, columns)
    table, steps = _steps(path, table, roles, names)
    made = pd.DataFrame({"step": steps})
    made["size"], made["seed"], made["named"] = _models(path, table, roles, names)
    made["task"] = _joined(table, roles["task"]) if "task" in roles else path.stem
    made["shots"] = _numbers(path, table, roles["shots"][0]).astype("Int64") if "shots" in roles else None
    long = _long(path, table, made, roles) if "value" in roles else _wide(path, table, made, roles)
    long = long.assign(higher_is_better=long["metric"].map(lambda name: HIGHER_IS_BETTER.get(name)))
    taken = {name for wanted in roles.values() for name in wanted}
    curves = [name for role in ("step", "size", "seed", "task", "metric", "shots") for name in roles.get(role, [])]
    return _told_apart(path, long, telling_apart(table, curves, [str(name) for name in table if name not in taken]))


def _opened(path: Path) -> DataFrame:
    try:
        return open_foreign(path)
    except FileNotFoundError as error:
        raise PhasescopeError(f"{path} cannot be read: no such file.") from error
    except (OSError, ValueError) as error:  # pandas' and pyarrow's own are ValueErrors
        raise PhasescopeError(f"{path} cannot be read as a table: {' '.join(str(error).split())[:200]}.") from error


def _roles(path: Path, table: DataFrame, columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Which columns have which role: as the user says, else by their names."""
    roles: dict[str, list[str]] = {}
    for role, wanted in columns.items():
        if role not in ROLES:
            raise BadArgumentError(f"A column cannot be the {role!r}. {did_you_mean(role, ROLES)}")
        for name in wanted:
            if name not in table:
                raise PhasescopeError(f"{path} has no column {name!r}. {did_you_mean(name, table.columns)}")
        roles[role] = list(wanted)
    taken = {name for wanted in roles.values() for name in wanted}
    plain = {re.sub(r"[^a-z0-9]", "", str(name).lower()): name for name in reversed(table.columns) if name not in taken}
    for role, known in ROLES.items():
        found = next((plain[name] for name in known if name in plain), None)
        if role not in roles and found is not None:
            roles[role] = [found]
    if "step" not in roles and (tokens := next(filter(is_token_axis, table.columns), None)) is not None:
        raise PhasescopeError(
            f"{path} has no column of steps; {tokens!r} counts tokens. If the run's checkpoints are numbered by tokens "
            f"too, say --column step={tokens}; else divide it by the tokens of one step (batch × context)."
        )
    if "step" not in roles:
        raise PhasescopeError(
            f"{path} has no column of steps: say which one it is, --column step=NAME. "
            f"{did_you_mean('step', table.columns)}"
        )
    return roles


def _steps(
    path: Path, table: DataFrame, roles: dict[str, list[str]], names: CheckpointNames
) -> tuple[DataFrame, Series[Any]]:
    """The rows that have a step (and a seed, where there is a column of seeds), and their steps."""
    name, seeds = roles["step"][0], roles.get("seed", [])
    steps: list[int] = []
    rows: list[int] = []
    with OddRows(path, "rows") as odd:
        for row, value in enumerate(table[name]):
            with odd.row():
                step = _step(path, row + 1, name, value, names)
                if seeds and names.seed is None:
                    _seed(path, row + 1, seeds[0], table[seeds[0]].iloc[row])
                steps.append(step)
                rows.append(row)
    return table.iloc[rows].reset_index(drop=True), _series(steps, "int64")


def _step(path: Path, row: int, name: str, value: Any, names: CheckpointNames) -> int:
    if isinstance(value, str):
        plain = value.replace(",", "") if re.fullmatch(r"\s*\d{1,3}(,\d{3})+\s*", value) else value
        told = int(plain) if re.fullmatch(r"\s*\d+\s*", plain) else names.read(value).step
    else:
        told = int(value) if value == value and value >= 0 and float(value).is_integer() else None
    if told is None:
        raise PhasescopeError(f"{path}, row {row}, column {name!r}: {value!r} is no step, which is a whole number.")
    return told


def _seed(path: Path, row: int, name: str, value: Any) -> int:
    told = re.search(r"\d+", str(value).removesuffix(".0"))
    if told is None:
        raise PhasescopeError(f"{path}, row {row}, column {name!r}: {value!r} is no seed.")
    return int(told[0])


def _models(
    path: Path, table: DataFrame, roles: dict[str, list[str]], names: CheckpointNames
) -> tuple[Series[Any], Series[Any], Series[Any]]:
    """Size, seed and what else names the model of every row; what no column tells of the two, the file's name may."""
    about = names.read(path.name)
    sizes: list[str | None] = [about.size] * len(table)
    seeds: list[int | None] = [about.seed] * len(table)
    named = [""] * len(table)
    if "size" in roles and names.size is None:
        texts = table[roles["size"][0]].astype(str)
        read = {text: names.read(text) for text in texts.unique()}
        named = [names.model(text) for text in texts]
        # A name that tells no size is a name of a size, as it stands.
        sizes = [read[text].size or text for text in texts]
        seeds = [seed if read[text].seed is None else read[text].seed for text, seed in zip(texts, seeds, strict=True)]
    if "seed" in roles and names.seed is None:
        name = roles["seed"][0]
        seeds = [_seed(path, row, name, value) for row, value in enumerate(table[name], start=1)]
    return _series(sizes, "object"), _series(seeds, "Int64"), _series(named, "object")


def _long(path: Path, table: DataFrame, made: DataFrame, roles: dict[str, list[str]]) -> DataFrame:
    made["metric"] = _joined(table, roles["metric"]) if "metric" in roles else roles["value"][0]
    for role in _NUMBERS:
        if role in roles:
            made[role] = _numbers(path, table, roles[role][0])
    return made


def _wide(path: Path, table: DataFrame, made: DataFrame, roles: dict[str, list[str]]) -> DataFrame:
    import pandas as pd

    taken = {name for wanted in roles.values() for name in wanted}
    left = [name for name in map(str, table.columns) if name not in taken]
    numeric = [
        name
        for name in left
        if _holds_numbers(table[name])
        and not is_written_index(name, table[name])
        and not is_other_axis(name, table[name], made["step"])
    ]
    beside = {f"{name}_{role}": (name, role) for name in numeric for role in _NUMBERS[1:]}
    metrics = [name for name in numeric if name not in beside]
    if not metrics:
        raise PhasescopeError(
            f"{path} has no column with numbers beside {', '.join(map(repr, taken))}: say which one is the value, "
            f"--column value=NAME. {did_you_mean('value', table.columns)}"
        )
    parts = []
    for name in metrics:
        part = made.assign(metric=str(name), value=_numbers(path, table, name))
        for role in _NUMBERS[1:]:
            if f"{name}_{role}" in numeric:
                part[role] = _numbers(path, table, f"{name}_{role}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _numbers(path: Path, table: DataFrame, name: str) -> Series[Any]:
    """A column as numbers; what is empty is missing, and so is a word among many; words are refused."""
    import pandas as pd

    numbers = pd.to_numeric(table[name], errors="coerce").astype("float64").reset_index(drop=True)
    words = [row for row in numbers.index[numbers.isna()] if _is_word(table[name].iloc[row])]
    if len(words) * SHARE > len(numbers):
        row, value = words[0], str(table[name].iloc[words[0]])
        raise PhasescopeError(
            f"{path}, row {row + 1}, column {name!r}: {value!r} is no number. {about_number(value)}".rstrip()
        )
    return numbers


def _holds_numbers(column: Series[Any]) -> bool:
    """Whether a column is one of numbers, though some may be words, or written with a comma."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(column) or is_bool_dtype(column):
        return not is_bool_dtype(column)
    known = [text for text in column.dropna() if isinstance(text, str) and text.strip()]
    return bool(known) and sum(_NUMBER.fullmatch(text) is not None for text in known) * SHARE >= len(known) * (
        SHARE - 1
    )


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.strip().lower() not in ("", "na", "nan", "none", "null", "n/a")


def _joined(table: DataFrame, columns: Sequence[str]) -> Series[Any]:
    parts = [table[name].astype(str).reset_index(drop=True) for name in columns]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + ", " + part
    return joined


def _told_apart(path: Path, table: DataFrame, others: Sequence[str]) -> DataFrame:
    """Without rows that say the same twice; refused where two say different things of the same."""
    keys = ["size", "seed", "step", "named", "task", "metric", "shots"]
    once = table.drop_duplicates([*keys, *(name for name in _NUMBERS if name in table)])
    twice = once[once.duplicated(keys, keep=False)]
    if twice.empty:
        return once.reset_index(drop=True)
    first = twice.iloc[0]
    rows = twice.merge(twice[keys].head(1), on=keys)
    remedy = "Keep one row for each step: which of them counts, nothing in the table tells."
    if others:
        remedy = f"Say what tells them apart: --column task=NAME. {did_you_mean('task', others)}"
    raise PhasescopeError(
        f"{path} has several values of {first['metric']} of {first['task']} at step {first['step']}: "
        f"{', '.join(f'{value:g}' for value in rows['value'][:3])}. {remedy}".rstrip()
    )


def _series(values: list[Any], dtype: str) -> Series[Any]:
    import pandas as pd

    return pd.Series(values, dtype=dtype)
