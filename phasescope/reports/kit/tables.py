"""The tables a report is made of, each read once; a table that cannot be had is empty, and the reason is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from phasescope.analyses import tables_there_are
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
Made = TypeVar("Made")


class RunLike(Protocol):
    """What a report reads of a run."""

    @property
    def path(self) -> Path: ...

    @property
    def manifest(self) -> dict[str, Any]: ...

    @property
    def sizes(self) -> list[str]: ...

    def seeds(self, size: str, /) -> list[int]: ...

    def steps(self, size: str, seed: int | None = None, /) -> list[int]: ...

    def table(self, name: str, /) -> pd.DataFrame: ...

    def table_if_asked(self, name: str, /) -> pd.DataFrame: ...


class Tables:
    """All tables of a run by name, each read when it is first asked for.

    One that an analysis refuses to make, with a sentence why, is empty here.
    """

    def __init__(self, read: Callable[[str], tuple[pd.DataFrame, str]]) -> None:
        self._read = cache(read)
        self.of_size = cache(self._of_size)
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._read(name)[0]

    def why(self, name: str) -> str:
        """Why a table is missing, or has no rows; "" where nothing was said."""
        return self._read(name)[1]

    def _of_size(self, size: str) -> Tables:
        """The rows about one size, looked for once and not once per figure."""

        def read(name: str) -> tuple[pd.DataFrame, str]:
            table, why = self._read(name)
            return table[table["size"] == size] if "size" in table else table, why

        return Tables(read)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What is computed of these tables for many figures or sentences, computed for the first of them."""
        if name not in self._made:
            self._made[name] = make()
        made: Made = self._made[name]
        return made


def read_tables(run: RunLike) -> Tables:
    """Every table of the run, as a report needs it."""
    return Tables(lambda name: _read(run, name))


def _read(run: RunLike, name: str) -> tuple[pd.DataFrame, str]:
    import pandas as pd

    columns, why = tables_there_are()[name][1].columns, ""
    try:
        table = run.table_if_asked(name)
    except PhasescopeError as error:
        table, why = pd.DataFrame(), nowhere(str(error), run.path)
    if absent := table.attrs.get("absent"):
        why = str(absent)
    if not set(columns) <= set(table.columns):
        if len(table):
            lacking = ", ".join(column for column in columns if column not in table.columns)
            why = f"The {name} table lacks the columns {lacking}: run `phasescope analyse` again."
        table = pd.DataFrame(columns=list(columns))
    return _coded(table), why


def nowhere(text: str, path: Path) -> str:
    """A text without the place of a run, which is none of a report's business.

    `RUN` stands for it, and what lies beside it, as the suite may, is told from there. Other paths stay as they are.
    """
    for place in dict.fromkeys((str(path.resolve()), str(path))):
        text = re.sub(rf"(?<![\w/.-]){re.escape(place)}(?![\w-])", "RUN", text)
    beside = str(path.resolve().parent)
    return text if beside == "/" else text.replace(f"{beside}/", "")


def _coded(table: pd.DataFrame) -> pd.DataFrame:
    """The same with text as categories: what repeats from row to row is then compared and copied as small numbers."""
    import pandas as pd

    texts = [name for name, kind in table.dtypes.items() if isinstance(kind, pd.StringDtype)]
    return table.astype(dict.fromkeys(texts, "category"))


def missing_steps(run: RunLike) -> dict[tuple[str, int], list[int]]:
    """For each size and seed, the steps that were asked for, or that another seed of the size has, and it has not."""
    planned = run.manifest.get("checkpoints", [])
    pairs = {(str(entry["size"]), int(entry["seed"])) for entry in planned}
    gaps: dict[tuple[str, int], list[int]] = {}
    for size in dict.fromkeys([*run.sizes, *sorted(size for size, _ in pairs)]):
        present = size in run.sizes
        wanted = {int(entry["step"]) for entry in planned if entry["size"] == size}
        wanted |= set(run.steps(size)) if present else set()
        for seed in sorted({seed for name, seed in pairs if name == size} | set(run.seeds(size) if present else [])):
            gaps[size, seed] = sorted(wanted - set(run.steps(size, seed) if present else []))
    return {key: steps for key, steps in gaps.items() if steps}
