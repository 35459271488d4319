"""Benchmarks in figures, captions and the terminal."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from phasescope.errors import PhasescopeError
from phasescope.reports.evaluations.figures import evaluations_figure
from phasescope.reports.evaluations.section import evaluation_parts, families, labelled, usual_metrics
from phasescope.reports.kit import steps_axis
from phasescope.reports.views import table_view
from tests.reports.evaluation_tables import STEPS, TASKS, evaluations
from tests.reports.tables import SyntheticRun


def with_table(run: SyntheticRun, table: pd.DataFrame) -> SyntheticRun:
    return SyntheticRun(run.path, {**run.tables, "evaluations": table}, run.manifest, run.sizes)


def printed(view: object) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_families_are_of_tasks_whose_names_begin_alike() -> None:
    names = [
        "piqa",
        "arc_easy",
        "arc_challenge",
        *(f"hendrycksTest-{x}" for x in "abcd"),
        *(f"crows_pairs_{x}" for x in "abcd"),
    ]
    groups = dict(families(names))
    assert groups["Tasks"] == ["arc_challenge", "arc_easy", "piqa"]
    assert list(groups) == ["Tasks", "crows_pairs", "hendrycksTest"]
    assert sorted(task for tasks in groups.values() for task in tasks) == sorted(names)


def test_each_task_is_shown_in_its_usual_metric() -> None:
    shown = usual_metrics(evaluations(TASKS)).groupby("task")["metric"].agg(set)
    assert shown["piqa"] == shown["lambada"] == shown["blimp_0"] == {"acc"}
    assert shown["wiki"] == {"ppl"}


def test_other_examples_in_the_prompt_are_another_curve() -> None:
    table = evaluations({"piqa": "acc", "wiki": "ppl"})
    both = pd.concat([table, table[table["task"] == "piqa"].assign(shots=5)], ignore_index=True)
    assert set(labelled(both)["label"]) == {"piqa, 0-shot", "piqa, 5-shot", "wiki"}


def test_a_small_figure_for_each_task_with_curve_and_band() -> None:
    table = labelled(evaluations({"piqa": "acc", "sciq": "acc"}, seeds=(1, 2, 3)))
    figure = evaluations_figure(table, {"piqa": "piqa", "sciq": "sciq", "absent": "absent"}, ["0.4m"])
    curves = {trace.xaxis: trace for trace in figure.plotly().data if trace.mode == "lines+markers"}
    median = table[(table["label"] == "sciq") & (table["seed"] == 2)]
    np.testing.assert_allclose(curves["x2"].y, median["value"].round(4))
    np.testing.assert_allclose(curves["x2"].x, [steps_axis.position(step) for step in STEPS])
    assert [note.text for note in figure.plotly().layout.annotations] == ["piqa", "sciq", "absent"]
    assert sum(trace.fill is not None for trace in figure.plotly().data) == 2
    with pytest.raises(ValueError, match="no tasks"):
        evaluations_figure(table, {}, ["0.4m"])


def test_the_part_has_families_folded_and_metrics_to_choose(run: SyntheticRun) -> None:
    (part,) = evaluation_parts(with_table(run, evaluations(TASKS)))
    assert [panel.title for panel in part.panels] == ["Tasks"]
    assert [panel.title for panel in part.folded] == ["blimp"]
    assert [value for value, _ in part.controls[0].options] == ["", "acc", "acc_norm", "ppl"]
    assert set(part.panels[0].variants) == {"acc", "acc_norm", "ppl"}
    assert set(part.folded[0].variants) == {"acc"}
    assert "First shown: acc and ppl; one seed; band: 95 % interval" in part.panels[0].caption
    assert "With no examples in the prompt." in part.panels[0].caption


def test_several_seeds_and_no_intervals_are_said(run: SyntheticRun) -> None:
    (part,) = evaluation_parts(with_table(run, evaluations({"piqa": "acc"}, seeds=(1, 2))))
    assert "acc; median of 2 seeds; band: range over seeds" in part.panels[0].caption
    assert part.controls == []
    bare = evaluations({"piqa": "acc"}).assign(low=np.nan, high=np.nan, level=np.nan)
    (part,) = evaluation_parts(with_table(run, bare))
    assert "no intervals given" in part.panels[0].caption


def test_nothing_to_draw_is_said(run: SyntheticRun) -> None:
    (part,) = evaluation_parts(with_table(run, evaluations(TASKS).iloc[:0]))
    assert "phasescope import RUN FILES" in part.notes[0]
    (part,) = evaluation_parts(with_table(run, evaluations({"piqa": "acc"}).query("step == 8")))
    assert part.notes == ["Only step 8 was measured: there is no curve."]

    class Refusing(SyntheticRun):
        def table(self, name: str) -> pd.DataFrame:
            raise PhasescopeError("The file is damaged.")

    assert evaluation_parts(Refusing(run.path, {}, run.manifest, run.sizes))[0].notes == ["The file is damaged."]


def test_the_terminal_fits_eighty_columns() -> None:
    table = evaluations(TASKS)
    shown = printed(table_view("evaluations", lambda _: table))
    assert max(map(len, shown.splitlines())) <= 80
    piqa = next(line for line in shown.splitlines() if "piqa" in line)
    assert piqa.split() == ["piqa", "▁▁▃▆█", "0.201", "0.472", "[0.452,", "0.492]", "512"]
    assert "mean of 4 blimp" in shown
    lowest = next(line for line in shown.splitlines() if "wiki" in line)
    assert lowest.split()[-1] == "0"  # of a perplexity the smallest is best
    assert "phasescope evaluate RUN" in printed(table_view("evaluations", lambda _: table.iloc[:0])).replace("\n", " ")
