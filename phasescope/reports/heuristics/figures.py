"""Study C in pictures: which heuristic a model's predictions go with, and how alike models are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.curves import bands_behind, over_steps, step_curve, step_star
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd

NAMES = {
    "unigram": "unigram",
    "bigram": "bigram",
    "trigram": "trigram",
    "4-gram": "4-gram",
    "5-gram": "5-gram",
    "similarity_weighted": "similarity",
}
"""What is drawn, in this order; similarity with nearer words weighing more stands for both."""


def heuristics_figure(heuristics: pd.DataFrame, peaks: pd.DataFrame) -> Drawing:
    """Correlation with each predictor along training; a star with a bar shows its peak and the peak's interval.

    Args:
        heuristics: columns seed, step, predictor, pearson, low, high, of one size.
        peaks: columns predictor, peak_step, low, high, correlation: one row per predictor.

    Raises:
        ValueError: there is no correlation.
    """
    known = heuristics[heuristics["pearson"].notna()]
    looks = theme.styles(NAMES)
    curves: list[Trace] = []
    for name, label in NAMES.items():
        here = tidy.of(known, predictor=name)
        if len(here):
            curves += step_curve(tidy.across_seeds(here, "pearson", "low", "high"), label, looks[name], unit="")
    if not curves:
        raise ValueError("no correlation with any heuristic")
    marks = [_peak(row, looks[row["predictor"]]) for row in peaks.to_dict("records") if row["predictor"] in NAMES]
    return over_steps([*bands_behind(curves), *marks], tidy.integers(known["step"]), "correlation (Pearson)")


def fit_figure(fit: pd.DataFrame) -> Drawing:
    """How much of the variance unigram, 5-gram and similarity explain together, along training.

    Args:
        fit: columns seed, step, r2_training, r2_held_out, each with _low and _high, of one size.

    Raises:
        ValueError: there is no regression.
    """
    table = fit.drop_duplicates(["seed", "step"])
    curves: list[Trace] = []
    looks = theme.styles(["r2_training", "r2_held_out"])
    for name, label in (("r2_training", "training half"), ("r2_held_out", "held-out half")):
        known = table[table[name].notna()]
        if len(known):
            curve = tidy.across_seeds(known, name, f"{name}_low", f"{name}_high")
            curves += step_curve(curve, label, looks[name], unit="")
    if not curves:
        raise ValueError("no regression")
    return over_steps(bands_behind(curves), tidy.integers(table["step"]), "R²")


def coefficients_figure(fit: pd.DataFrame) -> Drawing:
    """The coefficient of each term of the regression along training, in standard deviations.

    Columns as for `fit_figure`, and term, coefficient, low, high. Raises ValueError where there are none.
    """
    known = fit[fit["coefficient"].notna()]
    looks = theme.styles(NAMES)
    curves: list[Trace] = []
    for name in dict.fromkeys(known["term"]):
        curve = tidy.across_seeds(tidy.of(known, term=name), "coefficient", "low", "high")
        curves += step_curve(curve, NAMES.get(name, name), looks[name], unit="")
    if not curves:
        raise ValueError("no coefficients")
    return over_steps(bands_behind(curves), tidy.integers(known["step"]), "coefficient (standard deviations)")


def _peak(row: dict[Any, Any], look: theme.Style) -> Trace:
    label = NAMES[row["predictor"]]
    return step_star(
        (int(row["peak_step"]), int(row["low"]), int(row["high"])),
        float(row["correlation"]),
        look,
        name=f"peak of {label}",
        hovertemplate="peak at step %{customdata[0]} [%{customdata[1]}, %{customdata[2]}]<extra>" + label + "</extra>",
        legendgroup=label,
    )
