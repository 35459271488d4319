"""Study C in figures, captions and the terminal."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from phasescope.reports.agreement.figures import agreement_figure
from phasescope.reports.agreement.section import agreement_panel
from phasescope.reports.heuristics.figures import NAMES, coefficients_figure, fit_figure, heuristics_figure
from phasescope.reports.heuristics.peaks import summary_peaks
from phasescope.reports.heuristics.section import heuristics_finding, heuristics_part
from phasescope.reports.kit import steps_axis
from phasescope.reports.kit.tables import read_tables
from phasescope.reports.views import table_view
from tests.reports.tables import SyntheticRun, but


def printed(view: object) -> str:
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_every_predictor_has_a_curve_and_a_star_at_its_peak(run: SyntheticRun) -> None:
    table, peaks = run.table("heuristics"), summary_peaks(run.table("heuristic_peaks"), "0.4m", "word")
    figure = heuristics_figure(table[table["size"] == "0.4m"], peaks)
    curves = {trace.name: trace for trace in figure.plotly().data if trace.mode == "lines+markers"}
    assert list(curves) == list(NAMES.values())
    stars = {trace.legendgroup: trace for trace in figure.plotly().data if trace.mode == "markers"}
    for name, star in stars.items():
        curve = curves[name]
        highest = max(range(len(curve.y)), key=lambda i: curve.y[i])
        # The curve is the median over seeds, the peak that of the mean: here within a checkpoint of each other.
        assert abs(star.x[0] - curve.x[highest]) <= 1.01
        row = peaks.set_index("predictor").loc[next(key for key, label in NAMES.items() if label == name)]
        assert star.x[0] == steps_axis.position(int(row["peak_step"]))


def test_the_part_has_its_figures_or_says_why_not(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    part = heuristics_part("0.4m", tables)
    assert [panel.title for panel in part.panels] == ["Correlation of words", "Explained together", "Coefficients"]
    assert "6,000 words" in part.panels[0].caption
    assert "Star: the peak of the mean over seeds" in part.panels[0].caption
    empty = but(tables, {"heuristics": tables["heuristics"].iloc[:0]}, {"heuristics": "There is no corpus."})
    assert heuristics_part("0.4m", empty).notes == ["There is no corpus."]
    missing = tables["heuristics"].assign(
        pearson=tables["heuristics"]["pearson"].where(tables["heuristics"]["predictor"] != "similarity_weighted"),
        reason="no word vectors were given",
    )
    assert heuristics_part("0.4m", but(tables, {"heuristics": missing})).notes == [
        "similarity_weighted: no word vectors were given."
    ]


def test_the_finding_names_the_peaks_in_their_order(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    steps = [int(step) for step in summary_peaks(tables["heuristic_peaks"], "0.4m", "word")["peak_step"][:3]]
    sentence = heuristics_finding("0.4m", tables, 3)
    assert sentence.startswith(f"What 0.4m says of each word goes most with the unigram at step {steps[0]} [")
    assert f"the bigram at step {steps[1]} [" in sentence
    assert "mean of 3 seeds, 95 % interval in brackets" in sentence


def test_agreement_names_seeds_sizes_and_other_runs(run: SyntheticRun) -> None:
    tables = read_tables(run)
    other = tables["agreement"][tables["agreement"]["relation"] == "sizes"].assign(beside_run="mamba", relation="runs")
    panel = agreement_panel(but(tables, {"agreement": pd.concat([tables["agreement"], other])}), list(run.sizes))
    assert panel is not None
    names = [trace.name for trace in panel.figure.plotly().data if trace.mode == "lines+markers"]
    assert names == ["seeds of 0.4m", "seeds of 1.6m", "0.4m and 1.6m", "0.4m and mamba 1.6m"]
    assert agreement_panel(but(tables, {"agreement": tables["agreement"].iloc[:0]}), list(run.sizes)) is None


def test_figures_of_nothing_are_refused(run: SyntheticRun) -> None:
    nothing = {
        name: run.table(name).iloc[:0] for name in ("heuristics", "heuristic_peaks", "heuristic_fit", "agreement")
    }
    with pytest.raises(ValueError, match="no correlation"):
        heuristics_figure(nothing["heuristics"], nothing["heuristic_peaks"])
    with pytest.raises(ValueError, match="no regression"):
        fit_figure(nothing["heuristic_fit"])
    with pytest.raises(ValueError, match="no coefficients"):
        coefficients_figure(nothing["heuristic_fit"])
    with pytest.raises(ValueError, match="no models compared"):
        agreement_figure(nothing["agreement"], ["0.4m"])


def test_the_terminal_shows_peaks_at_80_columns(run: SyntheticRun) -> None:
    shown = printed(table_view("heuristics", run.table))
    assert max(map(len, shown.splitlines())) <= 80
    assert "0.4m: what word log-probabilities go with" in shown
    peaks = summary_peaks(run.table("heuristic_peaks"), "0.4m", "word").set_index("predictor")
    step = int(peaks.loc["unigram", "peak_step"])
    line = next(line for line in shown.splitlines() if line.strip().startswith("unigram "))
    assert f"{step} [{step}, {step}]" in line
    assert "100 %" in line
    assert "unigram and 5-gram together explain at most" in shown
    alike = printed(table_view("agreement", run.table))
    assert "other seeds" in alike
    absent = run.table("heuristics").iloc[:0]
    absent.attrs["absent"] = "There is no reference corpus."
    assert "There is no reference corpus." in printed(table_view("heuristics", lambda name: absent))
