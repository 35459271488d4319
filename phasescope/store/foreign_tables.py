"""Tables that others wrote, as they are found: separators, an index that was written along, axes beside steps."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pandas import DataFrame, Series

SEPARATORS = {".csv": ",", ".tsv": "\t", ".parquet": ""}
_WRITTEN_INDEX = re.compile(r"(?:Unnamed: \d+|index|level_0|)$")
_TOKENS = re.compile(r"(?:n|num|total|train|training|consumed|seen)?tokens?(?:seen|consumed|processed|billions?|b)?$")
_OTHER_AXES = re.compile(r"(?:epochs?|(?:total)?flops|samplesseen|walltime|wallclock|elapsed|timestamp|time|runtime)$")
_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+([eE][-+]?\d+)?\s*")


def open_foreign(path: Path) -> DataFrame:
    """A .csv, .tsv or .parquet file as a table; what pandas raises where it is none.

    A .csv is also read where it is separated by semicolons or tabs; of semicolons, numbers with a decimal comma too.
    """
    import pandas as pd

    suffix = path.suffix.lower()
    if suffix == ".parquet":
        return pd.read_parquet(path)
    separator = SEPARATORS[suffix]
    if suffix == ".csv":
        with path.open("rb") as file:
            heading = file.readline()
        counts = {mark: heading.count(mark.encode()) for mark in (",", ";", "\t")}
        separator = max(counts, key=lambda mark: counts[mark]) if any(counts.values()) else ","
    table = pd.read_csv(path, sep=separator)
    if separator == ";":
        for name in table.columns:
            texts = table[name].dropna()
            if texts.map(lambda text: isinstance(text, str) and bool(_DECIMAL_COMMA.fullmatch(text))).all():
                table[name] = table[name].str.replace(",", ".").astype("float64") if len(texts) else table[name]
    return table


def is_written_index(name: object, column: Series[Any]) -> bool:
    """Whether a column is the index that pandas writes along: without a name, or called so, and counting rows."""
    return bool(_WRITTEN_INDEX.fullmatch(str(name))) and column.tolist() == list(range(len(column)))


def is_token_axis(name: object) -> bool:
    """Whether a column counts tokens of training, by its name."""
    return bool(_TOKENS.fullmatch(_plain(name)))


def is_other_axis(name: object, column: Series[Any], step: Series[Any]) -> bool:
    """Whether a column is another axis of the training than its steps: called so, and rising with them."""
    if not (is_token_axis(name) or _OTHER_AXES.fullmatch(_plain(name))):
        return False
    by_step = column.iloc[step.to_numpy().argsort(kind="stable")].dropna()
    return bool(by_step.is_monotonic_increasing)


def telling_apart(table: DataFrame, keys: Iterable[str], others: Iterable[str]) -> list[str]:
    """Of other columns those that tell rows apart which have the same keys: together all of them, or none is named.

    A column of floats measures something, and one that counts rows is an index.
    """
    from pandas.api.types import is_float_dtype

    keys = list(keys)
    twice = table[table.duplicated(keys, keep=False)]
    found = [
        name
        for name in others
        if not is_float_dtype(table[name])
        and not is_written_index(name, table[name])
        and len(twice.drop_duplicates([*keys, name])) > len(twice.drop_duplicates(keys))
    ]
    return [] if twice.drop_duplicates().duplicated([*keys, *found]).any() else found


def about_number(text: str) -> str:
    """What to do about a text that is nearly a number; "" where it is none.

    >>> about_number("1,000")
    'Write it without the comma: it could be a thousand, or one.'
    """
    if _THOUSANDS.fullmatch(text):
        return "Write it without the comma: it could be a thousand, or one."
    return "Write it with a point." if _DECIMAL_COMMA.fullmatch(text) else ""


def _plain(name: object) -> str:
    return re.sub(r"[^a-z0-9]", "", str(name).lower())
