"""What is counted along training where something is shown: steps, tokens, words, or chunks of the data.

Tables are always in what the run counts. What people look at may count tokens instead: whoever shows something says so
once (`showing`), and everything that is drawn or told inside asks here how its numbers are called, written and placed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

_NOUNS = {"steps": "step", "tokens": "token", "words": "word", "chunks": "chunk"}
_MAGNITUDES = (("", 1.0), ("K", 1e3), ("M", 1e6), ("B", 1e9), ("T", 1e12))
# As figures write them: `step %{customdata[0]}`, and an interval in brackets.
_HOVERED = re.compile(r"\bstep %\{\w+(\[\d\])?\}(( |<br>interval )\[%\{\w+\[\d\]\}, %\{\w+\[\d\]\}\])?")
Knots = tuple[tuple[int, ...], tuple[int, ...]]
"""Steps of a size, ascending, and the tokens that were read by then."""


@dataclass(frozen=True)
class Counting:
    """What is counted.

    Attributes:
        unit: `steps`, `tokens`, `words`, `chunks`, or what else a suite counts.
        scale: how many of these are one step on the axis, which is logarithmic above that.
        read: where tokens are shown of a run that counts steps: of each size what it had read.
    """

    unit: str = "steps"
    scale: float = 1.0
    read: Mapping[str, Knots] = field(default_factory=dict)

    @property
    def noun(self) -> str:
        """One of them."""
        return _NOUNS.get(self.unit, self.unit)

    def at(self, size: str, steps: Any) -> Any:
        """Steps of a size, a number or an array of them, in what is shown; between checkpoints in proportion.

        NaN stays NaN; of a size whose tokens are not known all becomes NaN.
        """
        if not self.read:
            return steps
        import numpy as np

        given = np.asarray(steps, np.float64)
        if size not in self.read:
            return np.full_like(given, np.nan)
        known, tokens = (np.asarray(side, np.float64) for side in self.read[size])
        beyond = (given - known[-1]) * (tokens[-1] / known[-1])
        return np.where(given > known[-1], tokens[-1] + beyond, np.interp(given, known, tokens))

    def of(self, size: str, step: int) -> int:
        """One step of a size, in what is shown; itself where that is not known."""
        there = float(self.at(size, step))
        return step if there != there else round(there)

    def table(self, table: DataFrame, columns: Iterator[str] | list[str]) -> DataFrame:
        """A table with these of its columns, which hold steps, in what is shown; rows of unknown sizes are left out."""
        chosen = [name for name in columns if name in table]
        if not self.read or not chosen or "size" not in table:
            return table
        table = table[table["size"].isin(list(self.read))].copy()
        sizes = table["size"].astype(str)
        for name in chosen:
            kind, told = table[name].dtype, table[name].astype("Float64")
            for size in sizes.unique():
                here = sizes == size
                values = told[here].to_numpy(float, na_value=float("nan"))
                told[here] = self.at(size, values).round()
            table[name] = told.astype(kind) if str(kind) != "Float64" else told
        return table


_STEPS = Counting()
_SHOWN: ContextVar[Counting] = ContextVar("counting", default=_STEPS)


def current() -> Counting:
    """What is counted where this is asked."""
    return _SHOWN.get()


@contextmanager
def showing(counting: Counting) -> Iterator[None]:
    """Whatever is drawn or told inside counts so."""
    token = _SHOWN.set(counting)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def show(counting: Counting) -> None:
    """Whatever is drawn or told from now on, in this thread, counts so."""
    _SHOWN.set(counting)


def noun() -> str:
    """What one of what is counted is called: `step`, as in `at step 512`; of tokens `token`, as in `at token 4.2B`."""
    return current().noun


def label(number: float) -> str:
    """A number of what is counted, in short: steps and chunks exactly, of tokens and words three digits.

    >>> label(1500), label(2.5)
    ('1500', '2.5')
    >>> with showing(Counting("tokens")):
    ...     label(0), label(1_073_741_824), label(999_999_999)
    ('0', '1.07B', '1B')
    """
    if current().unit in ("tokens", "words"):
        return _short(number)
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def at(number: Any) -> str:
    """Where in training: `step 512`, `token 1.07B`."""
    return f"{noun()} {label(float(number))}"


def bare(number: Any) -> str:
    """A place after "the last step,": `512`, for steps, or `token 1.07B`."""
    return label(float(number)) if noun() == "step" else at(number)


def hover(place: str) -> str:
    """What a figure says of a point: `step %{customdata[0]}`, for `customdata[0]`; tokens with commas."""
    return hovering(f"step %{{{place}}}")


def hovering(template: str) -> str:
    """What a figure says of points, which was written of steps, in what is counted.

    >>> with showing(Counting("tokens")):
    ...     hovering("settles at step %{customdata[1]} [%{customdata[2]}, %{customdata[3]}], CKA %{y:.3f}")
    'settles at token %{customdata[1]:,} [%{customdata[2]:,}, %{customdata[3]:,}], CKA %{y:.3f}'
    """
    if current().unit == "steps":
        return template
    return _HOVERED.sub(lambda found: _numbered(found[0]).replace("step", noun(), 1), template)


def _numbered(text: str) -> str:
    """With commas in the numbers, where they are long."""
    return text.replace("}", ":,}") if current().unit in ("tokens", "words") else text


def _short(number: float) -> str:
    for name, size in _MAGNITUDES:
        rounded = float(f"{number / size:.3g}")
        if rounded < 1000 or name == "T":
            return f"{rounded:g}{name}"
    raise AssertionError
