"""Tokens along training in the report and the terminal."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from phasescope.reports import write_report
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.kit.panels import Part
from phasescope.reports.trajectories import section as trajectories
from phasescope.reports.trajectories.figures import against_perplexity_figure, class_shares_figure
from phasescope.reports.trajectories.terminal import trajectories_view
from tests.reports.page import Page
from tests.reports.tables import SyntheticRun, make_run
from tests.reports.test_terminal import printed


def parts_of(run: SyntheticRun) -> dict[str, Part]:
    return {part.key: part for part in trajectories.trajectory_parts(run)}


def changed(run: SyntheticRun, name: str, **columns: object) -> SyntheticRun:
    return replace(run, tables=run.tables | {name: run.table(name).assign(**columns)})


def test_stacks_are_the_mean_over_seeds_and_reach_one_hundred(run: SyntheticRun) -> None:
    table = run.table("trajectories")
    figure = class_shares_figure(table, run.sizes)
    traces = {trace["name"]: trace for trace in figure.to_plotly_json()["data"]}
    assert list(traces) == ["decreasing", "stagnating", "fluctuating", "double descent", "increasing"]
    x = traces["decreasing"]["x"]
    assert x == [["10 %", "10 %", "40 %", "40 %", "70 %", "70 %"], ["0.4m", "1.6m"] * 3]
    here = tidy.of(table, size="1.6m", percent=40)
    for name, trace in traces.items():
        assert trace["y"][3] == pytest.approx(100 * here[here["class"] == name]["share"].mean(), abs=0.01)
    assert sum(trace["y"][2] for trace in traces.values()) == pytest.approx(100, abs=0.05)
    with pytest.raises(ValueError, match="no token"):
        class_shares_figure(table.assign(share=math.nan), run.sizes)


def test_curves_stand_at_their_steps_and_at_their_perplexities(run: SyntheticRun) -> None:
    table = tidy.of(run.table("against_perplexity"), measure="entropy")
    figure = against_perplexity_figure(table, run.sizes, "entropy (nats)")
    lines = [trace for trace in figure.to_plotly_json()["data"] if trace.get("fill") is None]
    assert [(line["name"], line["xaxis"]) for line in lines] == [(z, axis) for z in run.sizes for axis in ("x", "x2")]
    here = tidy.of(table, size="0.4m", seed=2).sort_values("perplexity", ascending=False)  # seed 2 of 3 is the median
    left, right = lines[:2]
    assert right["x"] == pytest.approx(here["perplexity"].to_list(), rel=1e-4)
    assert left["x"] == pytest.approx([steps_axis.position(step) for step in here["step"]], abs=1e-3)
    assert left["y"] == right["y"] == pytest.approx(here["value"].to_list(), abs=1e-4)
    assert [line["showlegend"] for line in lines] == [True, False] * 2
    assert figure.plotly().layout.xaxis2.autorange == "reversed"
    with pytest.raises(ValueError, match="entropy"):
        against_perplexity_figure(table, ["other"], "entropy")


def test_a_perplexity_that_one_seed_lacks_is_not_drawn(run: SyntheticRun) -> None:
    table = tidy.of(run.table("against_perplexity"), measure="entropy", size="0.4m")
    lowest = table["perplexity"].min()
    table = table[(table["seed"] != 3) | (table["perplexity"] > lowest)]
    figure = against_perplexity_figure(table, ["0.4m"], "entropy (nats)")
    assert min(figure.plotly().data[-1].x) > lowest


def test_the_page_says_how_much_closer_sizes_are_and_what_the_classes_are(run: SyntheticRun, tmp_path: Path) -> None:
    page = Page(write_report(run, tmp_path / "report.html").read_text(encoding="utf-8"))
    captions = {figure.title: figure.caption for figure in page.figures}
    assert "0.4m and 1.6m lie 0.20 [0.15, 0.25] times as far apart" in captions["Entropy against perplexity"]
    assert "mean of 3 seeds" in captions["Classes of tokens"]
    agreement = next(figure for figure in page.figures if figure.title == "Agreement of classes")
    names = {trace.get("name") for trace in agreement.traces} - {None}
    assert names == {"0.4m and 1.6m, same seed", "two seeds of 0.4m", "two seeds of 1.6m"}
    moves = next(figure for figure in page.figures if figure.title == "From 0.4m to 1.6m")
    assert set(moves.variants) == {"40", "70"}
    given = run.table("class_transitions").query("size_a != size_b and percent == 70 and class_a == 'increasing'")
    wanted = given.set_index("class_b")["given_a"]
    for trace in moves.variants["70"]:
        assert trace["y"][trace["x"].index("increasing")] == pytest.approx(100 * wanted[trace["name"]], abs=0.01)


def test_what_is_missing_is_said(run: SyntheticRun) -> None:
    few = changed(run, "trajectories", share=math.nan, reason="1 checkpoint from 10 % of training on: a trend needs 3")
    part = parts_of(few)["classes"]
    assert not part.panels
    assert part.notes == [f"{z}: 1 checkpoint from 10 % of training on: a trend needs 3." for z in run.sizes]
    assert "No token has a class: 1 checkpoint" in printed(trajectories_view(few.table))
    late = run.table("trajectories")
    late = late.assign(reason=(late["percent"] == 70).map({True: "2 left", False: ""}))
    late["share"] = late["share"].where(late["percent"] < 70)
    text = printed(trajectories_view((run.tables | {"trajectories": late}).__getitem__))
    assert "Too few checkpoints for a trend from 70 % on." in " ".join(text.split())
    why = "their perplexities do not overlap: 0.4m has 100 to 900 and 1.6m has 12 to 90"
    apart = changed(run, "size_alignment", ratio=math.nan, reason=why)
    assert parts_of(apart)["perplexity"].notes == [f"T{why[1:]}."]
    assert "do not overlap: 0.4m has 100" in " ".join(printed(trajectories_view(apart.table)).split())
    alone = changed(run, "class_agreement", kappa=math.nan)
    assert set(parts_of(alone)) == {"classes", "perplexity"}


def test_two_steps_give_one_sentence(tmp_path: Path) -> None:
    run = make_run(tmp_path, depths={"0.4m": 2}, heads=2, seeds=(1,), steps=(0, 4), components=("mlp_out",))
    (part,) = trajectories.trajectory_parts(run)
    assert part.notes == [trajectories.NO_TRAJECTORIES]
    assert trajectories.NO_TRAJECTORIES.split()[0] in printed(trajectories_view(run.table))
    del run.tables["size_alignment"]
    (part,) = trajectories.trajectory_parts(run)
    assert "no size_alignment table" in part.notes[0]


def test_seeds_of_one_size_are_compared_with_each_other(tmp_path: Path) -> None:
    depths, steps = {"0.4m": 2}, (0, 4, 16, 64)
    run = make_run(tmp_path, depths=depths, heads=2, seeds=(1, 2), steps=steps, components=("mlp_out",))
    part = parts_of(run)["agreement"]
    assert [panel.title for panel in part.panels] == ["Agreement of classes"]
    assert not part.controls


def test_one_size_and_one_seed_have_their_own_intervals(tmp_path: Path) -> None:
    run = make_run(tmp_path, depths={"0.4m": 2}, heads=2, seeds=(1,), steps=(0, 4, 16, 64), components=("mlp_out",))
    parts = parts_of(run)
    assert set(parts) == {"classes", "perplexity"}  # with whom should its tokens be compared?
    entropy = next(panel for panel in parts["perplexity"].panels if panel.title.startswith("Entropy"))
    assert "bootstrap interval over sequences" in entropy.caption
    band = next(trace for trace in entropy.figure.plotly().data if trace.fill)
    table = tidy.of(run.table("against_perplexity"), measure="entropy")
    assert max(band.y) == pytest.approx(table["high"].max(), abs=1e-3)
    assert not any(panel.title.startswith("KL") for panel in parts["perplexity"].panels)
    assert "One seed." in printed(trajectories_view(run.table))
