"""From tidy tables to what a figure draws: one row per site, one column per step, seeds put together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.reports import steps_axis

if TYPE_CHECKING:
    import pandas as pd

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
    "mlp_post",
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
    return table[table["head"].isna()]


def heads(table: pd.DataFrame) -> pd.DataFrame:
    """The rows about single heads."""
    return table[table["head"].notna()]


def of(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """The rows in which each named column has the given value; a wanted None keeps all."""
    for column, value in wanted.items():
        if value is not None:
            table = table[table[column] == value]
    return table


def level(table: pd.DataFrame) -> str:
    """The level of the table's intervals, as people write it: `95 %`."""
    return f"{100 * float(table['level'].iloc[0]):g} %" if "level" in table and len(table) else "95 %"


def integers(column: pd.Series[Any]) -> list[int]:
    """The different whole numbers of a column, sorted, without the missing."""
    return sorted({int(value) for value in column.dropna().unique()})


def grid(table: pd.DataFrame, value: str, *, per_head: bool = False, at_most: int = 60, digits: int = 3) -> Grid:
    """The median over seeds (and over heads unless `per_head`) of a column, by layer and step.

    Args:
        table: rows of one size and component, with columns layer, head, step and the value.
        value: the column to show.
        per_head: one row per head of a layer instead of one per layer.
        at_most: how many steps are kept where there are more than an axis can show.
        digits: decimals kept; a screen shows no more.
    """
    import numpy as np

    table = table[table["layer"].notna()]
    steps = steps_axis.thin(integers(table["step"]), at_most) if len(table) else []
    table = table[table["step"].isin(steps)]
    keys = ["layer", "head"] if per_head else ["layer"]
    if not len(table):
        return Grid([], [], [])
    # Plain numbers: grouping by nullable columns is several times slower.
    plain = table[[*keys, "step"]].astype("int64").assign(value=table[value].astype("float64"))
    wide = plain.groupby([*keys, "step"])["value"].median().unstack("step").reindex(columns=steps)
    rows: list[tuple[int, int | None]]
    rows = [(int(row[0]), int(row[1])) if per_head else (int(row), None) for row in wide.index]
    numbers = np.round(wide.to_numpy(), digits)
    return Grid(rows, steps, [numbers_or_none(row) for row in numbers.tolist()])


def numbers_or_none(values: Iterable[Any]) -> list[float | None]:
    """Numbers as JSON can hold them: what is missing or not finite becomes None."""
    import math

    known = (None if _missing(value) else float(value) for value in values)
    return [None if value is None or not math.isfinite(value) else value for value in known]


def _missing(value: Any) -> bool:
    """NaN is told by who asks; for a plain number pandas, which takes a third of a second, is not even imported."""
    if value is None or isinstance(value, (int, float)):
        return value is None
    import pandas as pd

    return bool(pd.isna(value))


def median_settling(settling: pd.DataFrame) -> pd.DataFrame:
    """Over seeds, for each site and head: the median settling step and its range; NA where most seeds never settle.

    A seed that never settles counts as later than any step, so it can make the median "never", and the upper end of
    the range is NA as soon as one seed never settles. With an even number of seeds the earlier of the middle two is
    taken, so that the median is a step that was probed.

    Args:
        settling: rows of one size and one τ (any number of components), as the settling analysis makes them.

    Returns:
        One row per layer, component and head: median, low, high (steps; NA = never), fraction (of training), seeds.
    """
    import numpy as np

    site = ["layer", "component", "head"]
    # Never is later than any step; heads become plain numbers, which group faster than nullable ones.
    steps = settling["settling_step"].astype("float64").fillna(np.inf)
    plain = settling[[*site, "low", "high", "last_step"]].assign(step=steps, head=settling["head"].fillna(-1))
    plain = plain.astype({"layer": "int64", "head": "int64", "component": "object"}).sort_values([*site, "step"])
    grouped = plain.groupby(site)
    seeds = grouped["step"].transform("size")
    middle = plain[grouped.cumcount() == (seeds - 1) // 2].set_index(site)
    lowest, highest = grouped["step"].min(), grouped["step"].max()
    table = middle.assign(median=middle["step"], seeds=grouped.size())
    one = table["seeds"] == 1
    table["low"] = table["low"].astype("float64").where(one, lowest)
    table["high"] = table["high"].astype("float64").where(one, highest)
    table = table.replace(np.inf, np.nan).reset_index()
    table["fraction"] = table["median"] / table["last_step"].where(table["last_step"] > 0)
    table["head"] = table["head"].where(table["head"] >= 0)
    whole_numbers = dict.fromkeys(("layer", "head", "median", "low", "high", "seeds"), "Int64")
    return table[[*site, "median", "low", "high", "fraction", "seeds"]].astype(whole_numbers)


def across_seeds(table: pd.DataFrame, value: str, low: str, high: str) -> pd.DataFrame:
    """A curve over steps: the median over seeds with the range of the seeds, or one seed with its own interval."""
    grouped = table.groupby("step")
    if table["seed"].nunique() == 1:
        curve = grouped[[value, low, high]].first().set_axis(["value", "low", "high"], axis="columns")
    else:
        curve = grouped[value].agg(["median", "min", "max"]).set_axis(["value", "low", "high"], axis="columns")
    return curve.reset_index()


def reasons(table: pd.DataFrame) -> list[str]:
    """Why numbers are missing: the different reasons the table gives, in order of appearance."""
    if "reason" not in table:
        return []
    given = table.loc[table["reason"].notna() & (table["reason"] != ""), "reason"]
    return [str(reason) for reason in given.unique()]


def listing(items: Sequence[object], at_most: int = 6) -> str:
    """`a, b and c`, cut with a count where there are many.

    >>> listing(["a", "b", "c"]), listing(range(9), at_most=3)
    ('a, b and c', '0, 1, 2 and 6 more')
    """
    words = [str(item) for item in items]
    if len(words) > at_most:
        words = [*words[:at_most], f"{len(words) - at_most} more"]
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + (" and " + words[-1] if words else "")
