"""The parts of a report about study C: heuristics, and agreement between models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.reports.heuristics import figures
from phasescope.reports.heuristics.peaks import summary_peaks
from phasescope.reports.kit import tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.bands import behind_wordless
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.phases.bands import with_bands

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_WHAT = "correlation with n-grams"


def heuristics_part(size: str, tables: Tables) -> Part:
    """What a size's predictions go with, along training; `tables` of that size."""
    title, key = "Heuristics", "heuristics"
    intro = "Which simple rule the models' predictions go with: how often a word is, what it follows, what is about."
    table = tables["heuristics"]
    known = table[table["pearson"].notna()]
    why = no_trajectory(known, "pearson", _WHAT, tables.why("heuristics"))
    if why:
        return Part(key, title, intro, notes=[why])
    panels = []
    for unit in dict.fromkeys(known["unit"]):
        here, peaks = tidy.of(known, unit=unit), summary_peaks(tables["heuristic_peaks"], size, unit)
        caption = _correlation_caption(here, peaks)
        panel = Panel(f"Correlation of {unit}s", caption, figures.heuristics_figure(here, peaks), source="heuristics")
        panels.append(with_bands(panel, tables, behind_wordless))
    fit = tidy.of(tables["heuristic_fit"], unit="word")
    if fit["r2_held_out"].notna().any():
        panel = Panel("Explained together", _fit_caption(fit), figures.fit_figure(fit), source="heuristic_fit")
        panels.append(with_bands(panel, tables, behind_wordless))
        figure = figures.coefficients_figure(fit)
        panel = Panel("Coefficients", _coefficients_caption(fit), figure, source="heuristic_fit")
        panels.append(with_bands(panel, tables, behind_wordless))
    missing = table[~table["unit"].eq("token") & table["pearson"].isna()].drop_duplicates("predictor")
    missing = missing[missing["predictor"].isin(list(figures.NAMES))]
    reasons = [f"{name}: {reason}." for name, reason in zip(missing["predictor"], missing["reason"], strict=True)]
    return Part(key, title, intro, panels, notes=reasons)


def heuristics_finding(size: str, tables: Tables, seeds: int) -> str:
    """In which order the correlations with n-grams peak: of tokens where they were counted, else of words."""
    peaks = tables["heuristic_peaks"]
    if peaks.empty or tables["heuristics"]["step"].nunique() < 2:
        return ""
    unit = "token" if (peaks["unit"] == "token").any() else "word"
    first = summary_peaks(peaks, size, unit).head(3)
    told = [
        f"the {row['predictor']} at {counting.at(row['peak_step'])}{' (the last)' if row['at_end'] else ''} "
        f"[{int(row['low'])}, {int(row['high'])}]"
        for row in first.to_dict("records")
    ]
    without = f"; {told_out}" if (told_out := left_out(tables["heuristics"])) else ""
    several = pooled_seeds(tables["heuristics"])
    over = f" (mean of {several} seeds, {tidy.level(first)} interval in brackets{without})" if seeds > 1 else ""
    return f"What {size} says of each {unit} goes most with {tidy.listing(told)}{over}."


def _correlation_caption(table: pd.DataFrame, peaks: pd.DataFrame) -> str:
    seeds = pooled_seeds(table)
    unit = str(table["unit"].iloc[0])
    band = tidy.band(table, "sequences")
    similarity = " and with the similarity of a word to its context" if unit == "word" else ""
    text = (
        f"Pearson's correlation of {unit} log-probabilities with those of n-grams (stupid backoff, counted in "
        f"{table['reference'].iloc[0]}){similarity}; {tidy.over_seeds(table)}; "
        f"{int(table['words'].max()):,} {unit}s; band: {band}."
    )
    if len(peaks):
        mean = "of the mean over seeds, " if seeds > 1 else ""
        text += f" Star: the peak {mean}its bar the {tidy.level(peaks)} interval."
    return text


def _fit_caption(fit: pd.DataFrame) -> str:
    terms = tidy.listing([figures.NAMES.get(term, term) for term in dict.fromkeys(fit["term"])])
    return (
        f"R² of a linear regression of log-probability on {terms}, fitted to half of the sequences; "
        f"{tidy.over_seeds(fit)}; {_band(fit)}."
    )


def _coefficients_caption(fit: pd.DataFrame) -> str:
    return (
        "Coefficients of that regression: by how many standard deviations the log-probability changes with one of the "
        f"predictor; {tidy.over_seeds(fit)}; {_band(fit)}."
    )


def _band(fit: pd.DataFrame) -> str:
    return "band: " + tidy.band(fit, "sequences")
