"""Tidy result tables on disk: Parquet, whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.store.files import replacing

if TYPE_CHECKING:
    from pandas import DataFrame


def write_table(path: Path, table: DataFrame, *, csv: bool = False) -> None:
    """Write `table` to `path` (.parquet), and beside it as .csv if asked."""
    with replacing(path) as temporary:
        table.to_parquet(temporary, index=False)
    if csv:
        with replacing(path.with_suffix(".csv")) as temporary:
            table.to_csv(temporary, index=False)


def read_table(path: Path, remedy: str = "Delete it and run phasescope analyse again.") -> DataFrame:
    """Read a table; damage raises `PhasescopeError` with the remedy."""
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise PhasescopeError(f"{path} is damaged ({error}). {remedy}") from error
