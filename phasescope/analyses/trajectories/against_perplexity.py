"""Behaviour against validation perplexity instead of step: a table of the analysis `trajectories`, and of any table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import as_table
from phasescope.analyses.trajectories.behaviours import Behaviour
from phasescope.analyses.trajectories.columns import AGAINST
from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.measures import PerplexityCurve

# Places on the perplexity axis from the lowest to the highest of the run, evenly spaced in log-perplexity.
_PLACES = 60
_LOG = "log-perplexity"  # while tables are joined; no table of ours has a column of that name


def against_perplexity(behaviours: Sequence[Behaviour], options: Options) -> DataFrame:
    """Table `against_perplexity`: every curve at the same perplexities, within its own range and never beyond it."""
    from phasescope.measures import interval

    ranges = np.array([behaviour.curve.range for behaviour in behaviours])
    ranges = ranges[np.isfinite(ranges).all(1)] if len(ranges) else ranges
    rows: list[tuple[Any, ...]] = []
    places = np.linspace(ranges[:, 0].min(), ranges[:, 1].max(), _PLACES) if len(ranges) else np.zeros(0)
    for behaviour in behaviours:
        values, curve = behaviour.values, behaviour.curve
        edges = interval(values.replicates(options), values.mean, options.level)
        low, high = (replace(curve, values=edge.numpy()) for edge in edges)
        columns = [np.exp(places), *(part.at(places) for part in (curve, low, high)), curve.step_at(places)]
        known = np.isfinite(columns[1])
        where = (behaviour.size, behaviour.seed, behaviour.measure)
        rows += [(*where, *row, options.level) for row in np.stack(columns, 1)[known].tolist()]
    table: DataFrame = as_table(rows, AGAINST)
    return table


def table_against_perplexity(
    table: DataFrame, surprisal: DataFrame, value: str, *, low: str = "low", high: str = "high", by: Sequence[str] = ()
) -> DataFrame:
    """Any tidy table with a step, at the same perplexities: one of ours, or one measured elsewhere.

    Args:
        table: columns size, step, the value, and `by`; with a seed, else against the perplexity of all seeds together.
        surprisal: the table of that name, which has the perplexities.
        value, low, high: columns of the curve and its interval; the interval is left out where the table has none.
        by: columns that tell curves of one size and seed apart, such as predictor or site.

    Returns:
        Columns size, seed (missing: all), those of `by`, perplexity, value, low, high, step (interpolated).

    Raises:
        PhasescopeError: a column is missing, or rows are not told apart.
    """
    import pandas as pd

    seeded = "seed" in table
    keys = ["size", *(["seed"] if seeded else []), *by]
    for column in (*keys, "step", value):
        if column not in table:
            raise PhasescopeError(f"The table has no column {column!r}. {did_you_mean(column, table.columns)}")
    if table.duplicated([*keys, "step"]).any():
        raise PhasescopeError(f"Several rows have the same {', '.join(keys)} and step. Name what tells them apart: by.")
    where = ["size", "seed", "step"] if seeded else ["size", "step"]
    perplexity = surprisal.rename(columns={"surprisal": _LOG}).groupby(where)[[_LOG]].mean().reset_index()
    known = table.merge(perplexity, on=where).sort_values("step")
    finite = known[np.isfinite(known[[_LOG, value]].astype(float)).all(axis=1)]
    places = np.linspace(finite[_LOG].min(), finite[_LOG].max(), _PLACES) if len(finite) else np.zeros(0)
    parts = []
    for names, rows in known.groupby(keys, sort=False, dropna=False):
        curves = [_tabulated(rows, column) for column in (value, low, high)]
        columns: dict[str, Any] = {"perplexity": np.exp(places)}
        columns |= {name: curve.at(places) for name, curve in zip(("value", "low", "high"), curves, strict=True)}
        columns |= {"step": curves[0].step_at(places)} | dict(zip(keys, names, strict=True))
        parts.append(pd.DataFrame(columns)[np.isfinite(columns["value"])])
    order = ["size", "seed", *by, "perplexity", "value", "low", "high", "step"]
    made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=order)
    return made.reindex(columns=order).astype({"seed": "Int64"})


def _tabulated(rows: DataFrame, column: str) -> PerplexityCurve:
    from phasescope.measures import PerplexityCurve

    values = rows[column].to_numpy(float) if column in rows else np.full(len(rows), np.nan)
    return PerplexityCurve(rows["step"].to_numpy(float), rows[_LOG].to_numpy(float), values)
