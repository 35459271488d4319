from __future__ import annotations

import pandas as pd
import pytest

from phasescope.reports.kit.tables import Tables, read_tables
from phasescope.reports.minimal_pairs.figures import minimal_pairs_figure
from phasescope.reports.minimal_pairs.section import by_score, minimal_pairs_finding, minimal_pairs_part
from phasescope.reports.views import table_view
from tests.reports.tables import SyntheticRun, but, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    return make_run(tmp_path_factory.mktemp("runs"), seeds=(1, 2))


@pytest.fixture(scope="module")
def tables(run: SyntheticRun) -> Tables:
    return read_tables(run).of_size("0.4m")


def printed(view: object) -> str:
    from rich.console import Console

    console = Console(width=80, no_color=True)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_a_curve_per_paradigm_with_chance(tables: Tables) -> None:
    figure = minimal_pairs_figure(by_score(tables["minimal_pairs"], "whole"), ["all", "wh_island"])
    curves = {trace.name: trace for trace in figure.plotly().data if trace.name}
    assert set(curves) == {"all", "wh_island"}
    mine = tables["minimal_pairs"].query("paradigm == 'wh_island' and method == 'full_sentence'")
    assert curves["wh_island"].y[-1] == pytest.approx(mine[mine["step"] == 1000]["accuracy"].median(), abs=1e-4)
    assert [shape.y0 for shape in figure.plotly().layout.shapes] == [0.5]
    with pytest.raises(ValueError, match="no minimal pairs"):
        minimal_pairs_figure(tables["minimal_pairs"], ["other"])


def test_the_part_lets_readers_choose_what_is_scored(tables: Tables) -> None:
    part = minimal_pairs_part("0.4m", tables)
    [panel] = part.panels
    assert [control.name for control in part.controls] == ["score"]
    assert {trace.get("name") for trace in panel.variants["word"]} - {None} == {"all", "wh_island"}
    assert "1,000 to 2,000 pairs; median of 2 seeds; band: range over seeds" in panel.caption
    assert "phasescope's" not in panel.caption


def test_many_paradigms_are_folded_away_behind_their_mean(tables: Tables) -> None:
    one = tables["minimal_pairs"].query("paradigm == 'wh_island'")
    many = pd.concat([tables["minimal_pairs"], *(one.assign(paradigm=f"own_{i}") for i in range(14))])
    part = minimal_pairs_part("0.4m", but(tables, {"minimal_pairs": many}))
    assert [panel.title for panel in part.panels] == ["Mean over paradigms"]
    shown = [trace.name for panel in part.folded for trace in panel.figure.plotly().data if trace.name]
    assert sorted(shown) == sorted(["wh_island", "npi_present_1", *(f"own_{i}" for i in range(14))])
    assert "not BLiMP" in part.folded[-1].caption


def test_what_is_missing_is_said(run: SyntheticRun, tables: Tables) -> None:
    nothing = tables["minimal_pairs"].iloc[:0].copy()
    why = "Ask them with phasescope visit runs/demo --behaviour minimal_pairs."
    absent = but(tables, {"minimal_pairs": nothing}, {"minimal_pairs": why})
    assert minimal_pairs_part("0.4m", absent).notes == [why]
    assert minimal_pairs_finding("0.4m", absent, 2) == ""
    nothing.attrs["absent"] = why
    assert "phasescope visit" in printed(table_view("minimal_pairs", lambda name: nothing))
    some = tables["minimal_pairs"].copy()
    some.attrs["unscored"] = "3 of 24 checkpoints were not asked."
    assert minimal_pairs_part("0.4m", but(tables, {"minimal_pairs": some})).notes == [some.attrs["unscored"]]
    assert "3 of 24 checkpoints" in printed(table_view("minimal_pairs", lambda name: some))


def test_the_finding_says_where_it_ends_and_whether_beyond_chance(tables: Tables) -> None:
    sentence = minimal_pairs_finding("0.4m", tables, 2)
    assert sentence.startswith("At step 1000, 0.4m finds the acceptable sentence the likelier one in 90 % [")
    said = "of 2,000 minimal pairs (all paradigms; median of 2 seeds, their range in brackets), beyond chance"
    assert said in sentence
    guessing = tables["minimal_pairs"].assign(accuracy=0.5, low=0.49)
    assert "not surely beyond chance" in minimal_pairs_finding("0.4m", but(tables, {"minimal_pairs": guessing}), 2)


def test_the_terminal_view(run: SyntheticRun) -> None:
    shown = printed(table_view("minimal_pairs", run.table))
    assert "0.4m: accuracy on minimal pairs" in shown
    row = next(line for line in shown.splitlines() if line.strip().startswith("npi_present_1"))
    assert "–" in row  # no word that decides
    assert "1000" in row
