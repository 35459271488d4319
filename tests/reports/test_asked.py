"""Noise, questions and positions in figures, captions and the terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from phasescope.reports.in_context_learning.figures import loss_by_position_figure, score_figure
from phasescope.reports.in_context_learning.section import in_context_learning_part
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Part
from phasescope.reports.multiple_choice.section import multiple_choice_part
from phasescope.reports.noise.figures import by_rate_figure
from phasescope.reports.noise.section import name_of, noise_part
from phasescope.reports.views import table_view
from tests.reports.tables import SyntheticRun

PARTS = {"noise": noise_part, "multiple_choice": multiple_choice_part, "in_context_learning": in_context_learning_part}


def named(part: Part, title: str) -> dict[str, list[float]]:
    """The curves of a panel: name and values."""
    (panel,) = [panel for panel in part.panels if panel.title == title]
    return {trace.name: list(trace.y) for trace in panel.figure.plotly().data if trace.mode == "lines+markers"}


def test_noise_is_drawn_along_training_and_by_rate(run: SyntheticRun) -> None:
    part = noise_part(run)
    assert [panel.title for panel in part.panels] == ["Corrupted text", "By rate", "Text decoded by nucleus sampling"]
    curves = named(part, "Corrupted text")
    assert list(curves) == ["clean", "swap", "shuffle", "replace"]
    assert "20 % of its tokens" in part.panels[0].caption
    table = run.table("noise").query("size == '1.6m' and kind == 'clean'")
    assert curves["clean"] == pytest.approx(table.groupby("step")["perplexity"].median().tolist(), abs=1e-4)
    by_rate = named(part, "By rate")
    assert all(values[0] == 1 and len(values) == 4 for values in by_rate.values())
    assert list(named(part, "Text decoded by nucleus sampling")) == ["large", "small", "large − small", "small − large"]
    assert set(part.panels[0].variants) == {"0.4m"}  # the largest is shown first


def test_weights_are_told_as_a_sum() -> None:
    assert name_of(-1, 1) == "large − small"
    assert name_of(1, -1) == "small − large"
    assert name_of(0.5, 0.5) == "0.5 large + 0.5 small"
    assert name_of(-0.5, -2) == "−2 large − 0.5 small"


def test_questions_are_drawn_beside_chance(run: SyntheticRun) -> None:
    part = multiple_choice_part(run)
    assert [panel.title for panel in part.panels] == ["Accuracy", "Normalised accuracy", "Option perplexity"]
    chance = [trace for trace in part.panels[0].figure.plotly().data if trace.name == "chance"]
    assert chance[0].y == (0.25, 0.25)
    other = part.panels[0].variants["piqa-2-shots"]
    assert [trace["y"] for trace in other if trace.get("name") == "chance"] == [[0.5, 0.5]]
    assert list(named(part, "Option perplexity")) == ["0.4m, right", "0.4m, wrong", "1.6m, right", "1.6m, wrong"]
    assert "200 questions" in part.panels[0].caption


def test_positions_are_drawn_for_some_steps(run: SyntheticRun) -> None:
    part = in_context_learning_part(run)
    assert list(named(part, "In-context-learning score")) == ["0.4m", "1.6m"]
    steps = list(named(part, "Loss by position"))
    assert (steps[0], steps[-1]) == ("step 0", "step 1k")
    assert len(steps) <= 7
    assert "Mean loss of tokens 230-255 minus that of tokens 13-38" in part.panels[0].caption


@pytest.mark.parametrize("name", PARTS)
def test_what_is_not_there_is_said(name: str, run: SyntheticRun) -> None:
    table = run.table(name)
    empty = table.iloc[:0].copy()
    empty.attrs["absent"] = "Nobody asked. Ask: phasescope visit."
    last = table[table["step"] == table["step"].max()]
    for tables, said in [
        ({name: empty}, "Nobody asked. Ask: phasescope visit."),
        ({name: last}, "Only one step was"),
    ]:
        part = PARTS[name](replace(run, tables=run.tables | tables))
        assert any(said in note for note in part.notes)
    without = {key: value for key, value in run.tables.items() if key != name}
    assert any("no" in note for note in PARTS[name](replace(run, tables=without)).notes)
    assert "Nobody asked." in printed(name, replace(run, tables=run.tables | {name: empty}))


def printed(name: str, run: SyntheticRun) -> str:
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(table_view(name, run.table))
    return capture.get()


def test_the_terminal_shows_all_at_80_columns(run: SyntheticRun) -> None:
    shown = {name: printed(name, run) for name in PARTS}
    assert max(len(line) for text in shown.values() for line in text.splitlines()) <= 80
    assert "swap 20 %" in shown["noise"]
    assert "nucleus, large" in shown["noise"]
    assert "piqa-2-shots: 200 questions with options" in shown["multiple_choice"]
    assert "Loss of tokens 230-255 minus that of tokens 13-38 (nats)" in shown["in_context_learning"]


def test_figures_of_nothing_are_refused(run: SyntheticRun) -> None:
    with pytest.raises(ValueError, match="nothing to draw of late loss"):
        score_figure(run.table("in_context_learning").iloc[:0], run.sizes)
    with pytest.raises(ValueError, match="no loss by position"):
        loss_by_position_figure(run.table("loss_by_position").iloc[:0], 256)
    with pytest.raises(ValueError, match="no ratio at step 3"):
        by_rate_figure(run.table("noise"), 3)
    with pytest.raises(ValueError, match="nothing to draw"):
        along_training({}, ("a", "b", "c"), "a")
