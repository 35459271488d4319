"""From tidy tables to what a figure draws: one row per site, one column per step, seeds put together."""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from phasescope.analyses.seed_ends import left_out, pooled, pooled_seeds
from phasescope.reports.kit import steps_axis

if TYPE_CHECKING:
    import pandas as pd
    from jaxtyping import Bool, Float64, Int64
    from numpy import ndarray

# The order in which a reader meets components, wherever several are shown.
COMPONENTS = (
    "resid_pre",
    "attn_out",
    "mixer_out",
    "ov_out",
    "resid_mid",
    "mlp_out",
    "resid_post",
    "z",
    "pattern",
    "sink",
    "mlp_post",
    "router",
    "routed",
    "expert_out",
)


@dataclass(frozen=True)
class Grid:
    """One number per row (a layer, or a head of a layer) and step; None where there is none."""

    rows: list[tuple[int, int | None]]
    steps: list[int]
    values: list[list[float | None]]

    @property
    def empty(self) -> bool:
        """Whether there is no number at all, so that nothing can be drawn."""
        return all(value is None for row in self.values for value in row)

    @property
    def layers(self) -> int:
        """How many layers the rows span, counted from the first layer of the model."""
        return 1 + max((layer for layer, _ in self.rows), default=-1)


def ordered_components(present: Iterable[Any]) -> list[str]:
    """Components in reading order; names this page does not know come last, in alphabetical order."""
    known = {name: place for place, name in enumerate(COMPONENTS)}
    return sorted({str(name) for name in present}, key=lambda name: (known.get(name, len(known)), name))


def whole(table: pd.DataFrame) -> pd.DataFrame:
    """The rows about a whole component, not about one of its heads."""
    return _rows(table, table["head"].isna().to_numpy())


def heads(table: pd.DataFrame) -> pd.DataFrame:
    """The rows about single heads."""
    return _rows(table, table["head"].notna().to_numpy())


def of(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows in which each named column has the given value; a wanted None keeps all."""
    chosen = [equal(table[column], value) for column, value in wanted.items() if value is not None]
    # One selection, not one for each column: what takes time is to copy the rows.
    return _rows(table, functools.reduce(operator.and_, chosen)) if chosen else table


def equal(column: pd.Series[Any], value: Any) -> Bool[ndarray, " rows"]:
    """Where a column has a value; a missing one is equal to none. On arrays, as pandas takes ten times as long."""
    import numpy as np
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        known = column.array.categories
        same = column.array.codes == known.get_loc(value) if value in known else np.zeros(len(column), dtype=bool)
        return np.asarray(same)
    if column.dtype.kind in "iufb" and isinstance(value, int | float | np.number):
        return np.asarray(plain(column) == value)
    return np.asarray((column == value).to_numpy(bool, na_value=False))


def _rows(table: pd.DataFrame, chosen: Bool[ndarray, " rows"]) -> pd.DataFrame:
    """The chosen rows; the table itself where these are all, as often they are."""
    return table if chosen.all() else table.take(chosen.nonzero()[0])


def level(table: pd.DataFrame) -> str:
    """The level of the table's intervals, as people write it: `95 %`."""
    return f"{100 * float(table['level'].iloc[0]):g} %" if "level" in table and len(table) else "95 %"


def percent(value: float, low: float, high: float) -> str:
    """A share with its interval, as people write it.

    >>> percent(0.204, 0.15, 0.31), percent(1, float("nan"), float("nan"))
    ('20 % [15, 31]', '100 %')
    """
    told = f"{100 * value:.0f} %"
    return told if low != low or high != high else f"{told} [{100 * low:.0f}, {100 * high:.0f}]"


def integers(column: pd.Series[Any]) -> list[int]:
    """The different whole numbers of a column, sorted, without the missing."""
    return sorted({int(value) for value in plain(column).tolist() if value == value})


def grid(table: pd.DataFrame, value: str, *, per_head: bool = False, at_most: int = 60, digits: int = 3) -> Grid:
    """The median over seeds (and over heads unless `per_head`) of a column, by layer and step.

    Seeds that end before others are left out (`seed_ends`).

    Args:
        table: rows of one size and component, with columns layer, head, step and the value.
        value: the column to show.
        per_head: one row per head of a layer instead of one per layer.
        at_most: how many steps are kept where there are more than an axis can show.
        digits: decimals kept; a screen shows no more.
    """
    import numpy as np

    table = pooled(table[table["layer"].notna()])
    steps = steps_axis.thin(integers(table["step"]), at_most) if len(table) else []
    table = table[table["step"].isin(steps)]
    if not len(table):
        return Grid([], [], [])
    layer = table["layer"].to_numpy(np.int64)
    head = table["head"].to_numpy(np.int64) if per_head else np.zeros_like(layer)
    names, row = np.unique(np.stack([layer, head]), axis=1, return_inverse=True)
    column = np.searchsorted(steps, table["step"].to_numpy(np.int64))
    wide = spreads(row * len(steps) + column, plain(table[value]), names.shape[1] * len(steps))[0]
    rows = [(int(layer), int(head) if per_head else None) for layer, head in names.T]
    numbers = np.round(wide.reshape(len(rows), len(steps)), digits)
    return Grid(rows, steps, [numbers_or_none(row) for row in numbers.tolist()])


def plain(column: pd.Series[Any] | ndarray) -> Float64[ndarray, " rows"]:
    """The numbers of a column, NaN for what is missing: nullable ones are slow to look at one by one."""
    import numpy as np

    if isinstance(column, np.ndarray):
        return column.astype(np.float64)
    return column.to_numpy(np.float64, na_value=np.nan)


def spreads(
    group: Int64[ndarray, " rows"], values: Float64[ndarray, " rows"], groups: int
) -> tuple[Float64[ndarray, " groups"], Float64[ndarray, " groups"], Float64[ndarray, " groups"]]:
    """Median, smallest and largest value of each group, NaN where a group has none; NaNs among the values are left out.

    All at once: grouping hundreds of small tables one by one, as pandas does it, takes longer than all else on a page.

    Args:
        group: of each value, the number of its group.
    """
    import numpy as np

    there = ~np.isnan(values)
    group, values = group[there], values[there]
    ordered = np.append(values[np.lexsort((values, group))], np.nan)  # what groups without a value point to
    counts = np.bincount(group, minlength=groups)
    starts = np.cumsum(counts) - counts
    low, high, first, last = (
        ordered[np.where(counts > 0, starts + place, -1)]
        for place in ((counts - 1) // 2, counts // 2, np.zeros_like(counts), counts - 1)
    )
    return (low + high) / 2, first, last


def numbers_or_none(values: Iterable[Any]) -> list[float | None]:
    """Numbers as JSON can hold them: what is missing or not finite becomes None."""
    import math

    if hasattr(values, "to_numpy"):
        values = plain(cast("pd.Series[Any]", values)).tolist()
    known = (None if _missing(value) else float(value) for value in values)
    return [None if value is None or not math.isfinite(value) else value for value in known]


def _missing(value: Any) -> bool:
    """NaN is told by who asks; for a plain number pandas, which takes a third of a second, is not even imported."""
    if value is None or isinstance(value, (int, float)):
        return value is None
    import pandas as pd

    return bool(pd.isna(value))


def over_seeds(table: pd.DataFrame) -> str:
    """`median of 3 seeds`, or that there is one; and which are left out of it (`seed_ends`)."""
    without = f", {told}" if (told := left_out(table)) else ""
    seeds = pooled_seeds(table)
    return (f"median of {seeds} seeds" if seeds > 1 else "one seed") + without


def seeds_and_range(table: pd.DataFrame, interval: str) -> str:
    """What brackets of a median over seeds hold: `median of 3 seeds, their range in brackets`; and which are left out.

    interval: which one a single seed has, such as `95 %`.
    """
    without = f"; {told}" if (told := left_out(table)) else ""
    seeds = pooled_seeds(table)
    if seeds > 1:
        return f"median of {seeds} seeds, their range in brackets{without}"
    return f"one seed, its {interval} interval in brackets{without}"


def band(table: pd.DataFrame, over: str) -> str:
    """What a band around the median over seeds is; of one seed the interval over `sequences`, or what else it is of."""
    return "range over seeds" if pooled_seeds(table) > 1 else f"{level(table)} bootstrap interval over {over}"


def outermost(table: pd.DataFrame, low: str = "low", high: str = "high") -> tuple[float, float]:
    """From the lowest to the highest end of the seeds' own intervals at the last step: what all of them agree on."""
    last = table[table["step"] == table["step"].max()]
    return float(last[low].min(skipna=False)), float(last[high].max(skipna=False))


def interval(value: float, low: float, high: float, digits: int = 2) -> str:
    """A number with its interval, if it has one.

    >>> interval(1, 0.9, 1.25), interval(2, float("nan"), float("nan"), digits=1)
    ('1.00 [0.90, 1.25]', '2.0')
    """
    told = f"{value:.{digits}f}"
    return told if low != low or high != high else f"{told} [{low:.{digits}f}, {high:.{digits}f}]"


def across_seeds(table: pd.DataFrame, value: str, low: str, high: str) -> pd.DataFrame:
    """A curve over steps: the median over seeds with the range of the seeds, or one seed with its own interval.

    Seeds that end before others are left out (`seed_ends`), else the curve would jump where they end.
    """
    import numpy as np
    import pandas as pd

    table = pooled(table)
    steps, group = np.unique(table["step"].to_numpy(), return_inverse=True)
    columns: tuple[ndarray, ...]
    if table["seed"].nunique() > 1:
        columns = spreads(group, plain(table[value]), len(steps))
    else:  # of a step that is there twice, the first number of each
        columns = tuple(_firsts(group, plain(table[name]), len(steps)) for name in (value, low, high))
    return pd.DataFrame({"step": steps} | dict(zip(("value", "low", "high"), columns, strict=True)))


def _firsts(
    group: Int64[ndarray, " rows"], values: Float64[ndarray, " rows"], groups: int
) -> Float64[ndarray, " groups"]:
    """The first value of each group that is not NaN."""
    import numpy as np

    found = np.full(groups, np.nan)
    there = ~np.isnan(values)
    found[group[there][::-1]] = values[there][::-1]  # of several, the last assignment stays
    return found


def reasons(table: pd.DataFrame) -> list[str]:
    """Why numbers are missing: the different reasons the table gives, in order of appearance."""
    if "reason" not in table:
        return []
    given = table.loc[table["reason"].notna() & (table["reason"] != ""), "reason"]
    return [str(reason) for reason in given.unique()]


def reason_sentences(table: pd.DataFrame, at_most: int = 3) -> list[str]:
    """The same as sentences; of many the first."""
    return [f"{reason[:1].upper()}{reason[1:]}." for reason in reasons(table)[:at_most]]


def listing(items: Sequence[object], at_most: int = 6) -> str:
    """`a, b and c`, cut with a count where there are many.

    >>> listing(["a", "b", "c"]), listing(range(9), at_most=3)
    ('a, b and c', '0, 1, 2 and 6 more')
    """
    words = [str(item) for item in items]
    if len(words) > at_most:
        words = [*words[:at_most], f"{len(words) - at_most} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + (" and " + words[-1] if words else "")
