"""What terminal tables are made of: sparklines, numbers, and tables of one look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from phasescope.reports import tidy

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table
    from rich.text import Text

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(
    values: Iterable[float | None], low: float | None = None, high: float | None = None, at_most: int = 16
) -> str:
    """A curve as a row of blocks; `·` where a value is missing; a flat curve runs along the bottom.

    low, high: the values of the lowest and highest block; not given: the smallest and largest of `values`.
    at_most: longer curves are thinned evenly, ends kept.

    >>> sparkline([0, 0.5, None, 1])
    '▁▅·█'
    """
    known = tidy.numbers_or_none(values)
    if len(known) > at_most:
        known = [known[round(i * (len(known) - 1) / (at_most - 1))] for i in range(at_most)]
    present = [value for value in known if value is not None]
    bottom = min(present, default=0.0) if low is None else low
    top = max(present, default=0.0) if high is None else high
    return "".join("·" if value is None else _block(value, bottom, top) for value in known)


def table(title: str, *columns: str, header: bool = True, caption: str = "") -> Table:
    """A table without inner lines. A column name that starts with `>` is right-aligned."""
    from rich import box
    from rich.table import Table

    made = Table(
        title=plain(title),
        title_justify="left",
        title_style="bold",
        caption=plain(caption) if caption else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD if header else box.SIMPLE,
        show_header=header,
        pad_edge=False,
        min_width=min(len(title), 78),  # a narrow table would break its title
    )
    for column in columns:
        # What does not fit goes on in the next line: a name that is cut is of no use.
        justify: JustifyMethod = "right" if column.startswith(">") else "left"
        made.add_column(plain(column.removeprefix(">")), justify=justify, overflow="fold")
    return made


def plain(text: object) -> Text:
    """Text in which square brackets are just brackets, and control characters are shown instead of obeyed."""
    from rich.text import Text

    return Text("".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text)))


def number(value: Any, digits: int = 3) -> str:
    """A number with so many decimals, or `–` where there is none."""
    return f"{float(value):.{digits}f}" if known(value) else "–"


def with_interval(value: Any, low: Any, high: Any, digits: int = 2) -> Text:
    """`4.02 [3.95, 4.10]`."""
    return plain(f"{number(value, digits)} [{number(low, digits)}, {number(high, digits)}]")


def step(value: Any) -> str:
    """A step, or that it never comes."""
    return str(int(value)) if known(value) else "never"


def settled(row: Mapping[Any, Any]) -> str:
    """When one seed settles, from its row of the settling table: `64 [32, 128]`, never, or why that was not seen."""
    if not known(row["settling_step"]):
        return "never"
    if not row["moved"]:
        return f"not seen ({row['reason']})"
    return f"{step(row['settling_step'])} [{step(row['low'])}, {step(row['high'])}]"


def known(value: Any) -> bool:
    """Whether there is a number: not None, NA, NaN or infinite."""
    return tidy.numbers_or_none([value])[0] is not None


def _block(value: float, bottom: float, top: float) -> str:
    share = (value - bottom) / (top - bottom) if top > bottom else 0.0
    return _BLOCKS[min(max(int(share * len(_BLOCKS)), 0), len(_BLOCKS) - 1)]
