"""Phases in figures, sentences and the terminal."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console

from phasescope.analyses.phases.found import FoundPhases
from phasescope.measures import find_phases
from phasescope.reports.kit import steps_axis, theme
from phasescope.reports.kit.bands import phase_bands
from phasescope.reports.kit.tables import read_tables
from phasescope.reports.phases.figures import phases_figure
from phasescope.reports.phases.section import phases_finding, phases_part
from phasescope.reports.phases.terminal import phases_view
from phasescope.reports.views import table_view
from tests.reports.tables import SyntheticRun, but


def printed(view: object) -> str:
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def kl_of(run: SyntheticRun) -> pd.DataFrame:
    table = run.table("phases")
    return table[(table["curve"] == "kl") & (table["size"] == "0.4m")]


def test_bands_lie_behind_between_their_boundaries(run: SyntheticRun) -> None:
    phases = kl_of(run)
    bands = phase_bands(phases)
    areas = [shape for shape in bands["shapes"] if shape["type"] == "rect"]
    assert all(shape["layer"] == "below" for shape in bands["shapes"])
    rising = phases[phases["label"] == "sharply rising"].iloc[0]
    edges = (steps_axis.position(rising["start"]), steps_axis.position(rising["end"]))
    assert edges in [(area["x0"], area["x1"]) for area in areas]
    assert len(areas) == (phases["label"] != "flat").sum()
    whiskers = [shape for shape in bands["shapes"] if shape["type"] == "line" and shape["y0"] == shape["y1"] == 1]
    assert len(whiskers) == len(phases) - 1
    assert [word["text"] for word in bands["annotations"]][1] == "sharp<br>divergence"
    assert phase_bands(phases.iloc[:0]) == {"shapes": [], "annotations": []}
    figure = theme.figure([], 300, **bands)
    assert len(figure.plotly().layout.shapes) == len(bands["shapes"])


def test_the_part_shows_curves_over_their_phases_or_says_why_not(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    part = phases_part("0.4m", tables)
    assert [panel.title for panel in part.panels] == ["Phases of KL between seeds", "Phases of surprisal"]
    assert [panel.title for panel in part.folded] == ["Phases of unigram"]
    assert "12 steps" in part.panels[0].caption
    assert "Names by evidence: uniform: near" in part.panels[0].caption
    assert "the mean of 3 seeds" in part.panels[1].caption
    absent = but(tables, {"phases": tables["phases"].iloc[:0]}, {"phases": "Nothing was captured."})
    assert phases_part("0.4m", absent).notes == ["Nothing was captured."]
    assert phases_part("0.4m", but(absent, {}, {"phases": ""})).notes != []
    with pytest.raises(ValueError, match="no curve"):
        phases_figure(pd.DataFrame({"step": [1], "value": [None]}), kl_of(run), "KL")


def test_findings_name_the_four_phases_and_sizes_that_never_reconverge(run: SyntheticRun) -> None:
    tables = read_tables(run)
    told = phases_finding("0.4m", tables.of_size("0.4m"), 3)
    assert told == (
        "The seeds of 0.4m stay close to the uniform distribution until step 20 [16, 24], then diverge sharply until "
        "step 128 [100, 160], then come closer again (KL between them, to step 1000; 95 % intervals)."
    )
    phases = tables["phases"][~((tables["phases"]["curve"] == "kl") & (tables["phases"]["phase"] == 2))]
    alone = but(tables, {"phases": phases})
    assert phases_finding("0.4m", alone.of_size("0.4m"), 3).endswith(
        "then diverge sharply, to the end, step 128: this size never reconverges (95 % intervals)."
    )
    later = tables["phases"].copy()
    later = later.astype({"label": "object", "name": "object"})
    later.loc[(later["curve"] == "kl") & (later["phase"] == 2), ["label", "name"]] = ["undetermined", ""]
    assert phases_finding("0.4m", but(tables, {"phases": later}).of_size("0.4m"), 3).endswith(
        "then show no trend that can be told, to the end, step 1000: whether they reconverge cannot be told "
        "(95 % intervals)."
    )
    only = but(tables, {"phases": tables["phases"][tables["phases"]["curve"] != "kl"]})
    assert phases_finding("0.4m", only.of_size("0.4m"), 3).startswith(
        "The surprisal of 0.4m goes through 2 phases: flat until step 8 [4, 10], then sharply falling from there on"
    )
    assert phases_finding("0.4m", but(tables, {"phases": tables["phases"].iloc[:0]}), 3) == ""


def test_the_terminal_at_80_columns(run: SyntheticRun) -> None:
    shown = printed(table_view("phases", run.table))
    assert max(map(len, shown.splitlines())) <= 80
    assert "kl, 0.4m" in shown
    assert "sharp divergence" in shown
    assert "[100, 160]" in shown
    assert "surprisal, 0.4m, seed" not in shown  # the mean of the seeds stands for them
    few = [FoundPhases({"task": "a[b]"}, find_phases([1.0], [2.0])), FoundPhases({}, find_phases([0.0, 8.0], [1, 2.0]))]
    shown = printed(phases_view(few))
    assert "a[b]: fewer than two steps" in shown
    assert "undetermined" in shown
    absent = run.table("phases").iloc[:0]
    absent.attrs["absent"] = "No behaviour was captured."
    assert "No behaviour was captured." in printed(table_view("phases", lambda name: absent))
