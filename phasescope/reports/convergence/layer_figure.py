"""One layer: how close it is to its final state along training, seed by seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.convergence.figures import ESTIMATORS
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve
from phasescope.reports.kit.drawing import Drawing, Trace, scatter

if TYPE_CHECKING:
    import pandas as pd

_BOUNDS = {"biased": ("low", "high"), "debiased": ("debiased_low", "debiased_high")}


def layer_figure(convergence: pd.DataFrame, title: str = "", *, estimator: str = "biased", tau: float = 0.9) -> Drawing:
    """CKA of one site to its final state along training: one curve per seed with its interval, and τ as a line.

    Args:
        convergence: rows of one site, columns seed, step and cka, low, high (or the debiased ones); and shuffled, which
            is drawn, dotted, as what texts that do not match give (the most of all seeds; debiased: 0).
        title: written above the figure.
        estimator: `biased` or `debiased` CKA.

    A site without any CKA (no variance) gives axes with a sentence that says so, because a notebook that asks for
    this figure must get one.
    """
    value = ESTIMATORS[estimator]
    low, high = _BOUNDS[estimator]
    table = convergence[convergence[value].notna()]
    curves: list[Trace] = []
    steps = tidy.integers(convergence["step"]) or [0]
    looks = theme.styles(tidy.integers(convergence["seed"]))
    for seed in tidy.integers(table["seed"]):
        curve = tidy.of(table, seed=seed)[["step", value, low, high]].sort_values("step")
        curve = curve.set_axis(["step", "value", "low", "high"], axis="columns")
        curves += step_curve(curve, f"seed {seed}", looks[seed], unit="")
    if estimator == "biased" and "shuffled" in table and len(table):
        curves += _by_chance(table)
    above = {"text": theme.plain(title), "x": 0, "xref": "paper", "y": 0.98, "yanchor": "top"}
    figure = theme.figure(
        bands_behind(curves),
        400,
        margin={"l": 56, "r": 16, "t": 72 if title else 16, "b": 52},
        title=above if title else None,
        xaxis=steps_axis.axis(steps),
        yaxis={"title": {"text": "CKA to the final state"}, "range": [min(0, _lowest(table, low)), 1.03]},
        showlegend=len(looks) > 1,
    )
    if table.empty:
        why = "; ".join(tidy.reasons(convergence))
        text = "There is no CKA to show" + (f": {theme.plain(why)}." if why else ".")
        note = {"text": text, "x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper", "showarrow": False}
        return figure.and_layout(annotations=[note])
    mark = {"text": f"τ = {tau:g}", "x": 0, "xanchor": "left", "yanchor": "top"}
    return figure.across(tau, {"color": theme.NEUTRAL, "dash": "dash", "width": 1.2}, mark)


def _by_chance(table: pd.DataFrame) -> list[Trace]:
    """What texts that do not match give, dotted: the most of all seeds at each step."""
    most = table.groupby("step")["shuffled"].max().dropna()
    if most.empty:
        return []
    most = most[most.index.isin(steps_axis.thin(tidy.integers(most.index.to_series())))]
    line = scatter(
        x=[steps_axis.position(int(step)) for step in most.index],
        y=tidy.numbers_or_none(most.round(4)),
        customdata=[[int(step)] for step in most.index],
        meta=theme.held("step"),
        name="texts that do not match",
        mode="lines",
        line={"color": theme.NEUTRAL, "dash": "dot", "width": 1.6},
        hovertemplate="step %{customdata[0]}<br>%{y:.3f}<extra>texts that do not match</extra>",
    )
    return [line]


def _lowest(table: pd.DataFrame, low: str) -> float:
    bounds = table[low].dropna()
    return 0.0 if bounds.empty else float(bounds.min()) - 0.02
