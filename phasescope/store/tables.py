"""Tidy result tables on disk: Parquet, whole or not at all, with a digest of every byte."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import DamagedError
from phasescope.store.files import replacing
from phasescope.store.trouble import unreadable

if TYPE_CHECKING:
    from pandas import DataFrame

_KEY = "phasescope_digest"
_NAME = "phasescope_table"
_NONE = "0" * 32
_KEPT = re.compile(rb'"' + _KEY.encode() + rb'": ?"([0-9a-f]{32})"')


def write_table(path: Path, table: DataFrame, *, csv: bool = False) -> None:
    """Write `table` to `path` (.parquet), and beside it as .csv if asked."""
    marked = table.copy(deep=False)
    marked.attrs = table.attrs | {_KEY: _NONE, _NAME: path.stem}
    with replacing(path) as temporary:
        marked.to_parquet(temporary, index=False)
        raw = temporary.read_bytes()
        # The digest takes the place of as many noughts, so that it can be of all other bytes of the file.
        digest = _digest(raw)
        temporary.write_bytes(_KEPT.sub(lambda found: found[0].replace(_NONE.encode(), digest), raw))
    if csv:
        with replacing(path.with_suffix(".csv")) as temporary:
            table.to_csv(temporary, index=False)


def read_table(path: Path, remedy: str = "Delete it and run phasescope analyse again.") -> DataFrame:
    """Read a table; damage raises `DamagedError` with the remedy, and so does another table in its place.

    Tables of old runs keep no digest and no name.
    """
    import pandas as pd

    try:
        raw = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error
    kept = set(_KEPT.findall(raw))
    if kept and kept != {_digest(_KEPT.sub(lambda found: found[0].replace(found[1], _NONE.encode()), raw))}:
        raise DamagedError(f"{path} is damaged (its digest does not fit). {remedy}")
    try:
        table = pd.read_parquet(io.BytesIO(raw))
    except Exception as error:  # pyarrow has no common error for damaged files
        raise DamagedError(f"{path} is damaged ({error}). {remedy}") from error
    table.attrs.pop(_KEY, None)
    name = table.attrs.pop(_NAME, path.stem)
    if name != path.stem:
        raise DamagedError(f"{path} holds another table, {name}. {remedy}")
    return table


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).hexdigest().encode()
