"""A panel of the explorer: what a question shows of one site, along training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.captions import parts_of
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

HEIGHT = 330


class Rows(Protocol):
    """Rows of a result table, found by the values of the columns that were named first."""

    def __call__(self, table: str, by: Sequence[str], *values: str | int) -> pd.DataFrame: ...


@dataclass(frozen=True)
class Looked:
    """What is looked at.

    Attributes:
        size, component, layer, head: the site; `head` None: the whole of it.
        site, label: its whole name, and how people write it: `L3.z head 1 of 1m`.
        seeds: of which curves are wanted, at least one.
        chosen: what the panel lets choose.
        matrices: weights and circuits of the layer that have spectra, as the table of ranks calls them.
        rows: of result tables; where one was not made, the panel says how to make it.
    """

    size: str
    component: str
    layer: int
    head: int | None
    site: str
    label: str
    seeds: Sequence[int]
    chosen: str
    matrices: Sequence[str]
    rows: Rows

    def of_head(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Those of the head, or of the whole."""
        return rows[rows["head"].isna() if self.head is None else rows["head"] == self.head]


@dataclass(frozen=True)
class Shown:
    """What a panel shows: a figure, or in its place a sentence; and sentences below."""

    figure: Drawing | str
    says: tuple[str, ...] = ()


@dataclass(frozen=True)
class SitePanel:
    """A panel of the explorer.

    Attributes:
        title: above it.
        about: below it: what is seen.
        table: that it is drawn from.
        show: gets what is looked at.
        choice: what can be chosen, as in `Rank of`; "" where there is nothing.
        choices: of what is looked at; the first is chosen first. Called without rows.
        always: whether it is there before its table was made, and says how to make it.
    """

    title: str
    about: str
    table: str
    show: Callable[[Looked], Shown]
    choice: str = ""
    choices: Callable[[Looked], Sequence[str]] | None = None
    always: bool = False


def over_heads(rows: pd.DataFrame, looked: Looked, component: str, column: str) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """`median`, `min` and `max` of a column per seed and step over the heads (or experts) of a matrix, and a sentence.

    Of the head alone that is looked at, if it has that one.
    """
    said: tuple[str, ...] = ()
    if rows["head"].notna().any():
        heads = tidy.integers(rows["head"])
        if looked.head in heads:
            rows = rows[rows["head"] == looked.head]
        else:
            said = (f"The median of {len(heads)} {parts_of(component)}, and the range between them.",)
    return rows.groupby(["seed", "step"])[column].agg(["median", "min", "max"]).reset_index(), said


RANGE = {"value": "median", "low": "min", "high": "max"}
OWN = {"value": "value", "low": "low", "high": "high"}


def seed_curves(
    rows: pd.DataFrame,
    looked: Looked,
    title: str,
    columns: Mapping[str, str] = OWN,
    *,
    unit: str = "",
    chance: str = "",
    beside: str = "by chance",
) -> Drawing:
    """A curve for each chosen seed, with its band; each keeps its colour whichever others are chosen.

    Args:
        rows: of one thing; columns seed and step.
        looked: for the seeds.
        title: of the axis.
        columns: which of the rows' are `value`, `low` and `high`; none given: those of these names.
        unit: after numbers.
        chance: a column of what would be there by chance, drawn dotted in each seed's colour.
        beside: what that is called.
    """
    looks = theme.styles(tidy.integers(rows["seed"]))
    curves: list[Trace] = []
    for seed in looked.seeds:
        own = tidy.of(rows, seed=seed).sort_values("step")
        if own.empty:
            continue
        curve = own[["step", *(columns[name] for name in ("value", "low", "high"))]]
        curve = curve.set_axis(["step", "value", "low", "high"], axis="columns")
        curves += step_curve(curve, f"seed {seed}", looks[seed], unit=unit)
        if chance and own[chance].notna().any():
            alone = own[["step", chance]].assign(low=float("nan"), high=float("nan"))
            alone = alone.set_axis(["step", "value", "low", "high"], axis="columns")
            curves += [_dotted(trace) for trace in step_curve(alone, f"seed {seed}, {beside}", looks[seed], unit=unit)]
    return theme.figure(
        bands_behind(curves),
        HEIGHT,
        xaxis=steps_axis.axis(tidy.integers(rows["step"]) or [0]),
        yaxis={"title": {"text": title}, "tickformat": "~g"},
        showlegend=len(curves) > 1,
    )


def _dotted(trace: Trace) -> Trace:
    return {**trace, "mode": "lines", "line": {**trace["line"], "dash": "dot", "width": 1.4}}
