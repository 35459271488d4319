"""What terminal tables are made of: sparklines, numbers, and tables of one look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import JustifyMethod, RenderableType
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
    return counting.label(float(value)) if known(value) else "never"


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


_COLOURS = {"rising": "green", "falling": "magenta", "flat": "blue", "undetermined": "dim"}


def colour_of(label: str) -> str:
    """The colour of a phase, by the last word of its label."""
    return _COLOURS[label.split()[-1]]


def step_text(step: float) -> str:
    """Steps as people count them; early ones lie between whole numbers."""
    return counting.label(step)


def from_to(table: pd.DataFrame, value: str, digits: int) -> str:
    """The first and the last number of a curve, median over whatever else there is."""
    curve = table.groupby("step")[value].median().dropna().to_list()
    return f"{number(curve[0], digits)} → {number(curve[-1], digits)}" if curve else "–"


def middle(table: pd.DataFrame, also: str) -> str:
    seeds = pooled_seeds(table)
    if seeds > 1:
        return f"median over {seeds} seeds {also}".rstrip() + without(table)
    return (f"one seed, median over {also.removeprefix('and ')}" if also else "one seed") + without(table)


def without(table: pd.DataFrame) -> str:
    return f"; {told}" if (told := left_out(table)) else ""


def steps_caption(steps: pd.Series[int]) -> str:
    present = tidy.integers(steps)
    if len(present) == 1:
        return f"Only {counting.at(present[0])} was captured."
    first, last = counting.label(present[0]), counting.label(present[-1])
    noun = counting.noun()
    return f"{len(present)} steps from {'' if noun == 'step' else f'{noun} '}{first} to {last}."


def nothing(what: str) -> RenderableType:
    return plain(f"There is no {what} in this run.")


def short(value: float) -> str:
    """Perplexities span many powers of ten."""
    return f"{value:.3g}" if known(value) and value < 1e5 else f"{value:.1e}"
