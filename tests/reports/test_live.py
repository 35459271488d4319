"""Live probes and watched runs, as they are shown: in a terminal, as lines, as tables, in a notebook."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.hooks import Site
from phasescope.reports.kit.along_steps import StepCells, phase_words
from phasescope.reports.layer.phases_beside import phases_beside
from phasescope.reports.layer.terminal import layer_view
from phasescope.reports.live.results import LiveResults
from phasescope.reports.live.terminal import follow, live_table_view, live_view
from phasescope.reports.live.watched import watch_view
from phasescope.reports.notebook import layer_html, run_html, svg_line
from phasescope.store import RunFolder
from phasescope.visits.live.probe import LiveReading
from phasescope.visits.live.watching import Watch
from tests.conftest import STEPS
from tests.reports.test_terminal import printed

TEXT = "A layer that has settled says [bold]the same[/bold] thing.\nAgain."


@pytest.fixture(scope="module")
def results(suite_folder: Path) -> LiveResults:
    return ps.probe_live(suite_folder, TEXT, "L1.mlp_out", size="tiny").finish()


def test_tables_hold_what_the_readings_do(results: LiveResults) -> None:
    table, tokens = results.table(), results.tokens()
    assert list(table["step"]) == list(STEPS)
    assert set(table["seed"]) == {1}  # the first
    assert "".join(tokens[tokens["step"] == 0]["token"]) == TEXT
    for reading in results:
        row = table[table["step"] == reading.key.step].iloc[0]
        mine = tokens[tokens["step"] == reading.key.step]
        assert reading.norms is not None
        assert row["cka"] == reading.cka
        assert row["against"] == 16
        assert row["norm"] == pytest.approx(float(reading.norms.mean()))
        np.testing.assert_allclose(mine["norm"], reading.norms.numpy())
        assert row["cosine"] == pytest.approx(mine["cosine"].mean())


def test_readings_come_once_and_can_be_asked_for_again(suite_folder: Path) -> None:
    found = ps.probe_live(suite_folder, "One two three", "L0.attn_out", size="tiny", steps="0,4,16")
    first = next(iter(found))
    assert (first.key.step, len(found.readings), len(found)) == (16, 1, 3)
    assert [reading.key.step for reading in found] == [16, 0, 4]
    assert next(iter(found)) is first
    assert "3 of 3 checkpoints" in repr(found)


def test_a_run_knows_its_checkpoints(captured: Path, results: LiveResults) -> None:
    again = ps.open_run(captured).layer(1, "mlp_out", size="tiny").live(TEXT)
    pd.testing.assert_frame_equal(again.table().drop(columns="seconds"), results.table().drop(columns="seconds"))


def test_a_size_must_be_named_where_there_are_several(suite_folder: Path) -> None:
    with pytest.raises(PhasescopeError, match="Several sizes are in this suite"):
        ps.probe_live(suite_folder, TEXT, "L1.mlp_out")


def test_a_bad_checkpoint_is_a_row_with_its_reason(suite_folder: Path, tmp_path: Path) -> None:
    suite = shutil.copytree(suite_folder / "tiny", tmp_path / "suite" / "tiny").parent
    weights = suite / "tiny" / "seed1" / "step4" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    found = ps.probe_live(suite, TEXT, "L1.mlp_out").finish()
    row = found.table().set_index("step").loc[4]
    assert "step4" in row["reason"]
    assert math.isnan(row["cka"])
    shown = printed(live_table_view(found))
    assert "3 of 4 checkpoints, 1 could not be read" in shown
    assert "✗" in shown
    assert "not readable" in found._repr_html_()


@pytest.mark.parametrize("width", [80, 120])
def test_a_live_probe_fits_the_terminal(results: LiveResults, width: int) -> None:
    text = printed(live_table_view(results), width)
    assert "[bold]" in text.replace("│", "")  # text is not markup
    lines = {line.split()[0]: line.split() for line in text.splitlines() if len(line.split()) == 6}
    row = results.table().set_index("step").loc[4]
    assert lines["4"][1:3] == [f"{row['cka_debiased']:.3f}", f"{row['cosine']:.3f}"]
    assert set(lines["16"][5]) == {"█"}  # every token has cosine 1 with itself
    assert "4 of 4 checkpoints" in text


def test_the_picture_keeps_its_height_while_it_fills(suite_folder: Path) -> None:
    found = ps.probe_live(suite_folder, "One two three", "L0.attn_out", size="tiny")
    before = printed(live_view(found), 120)
    assert "0 of 4 checkpoints" in before
    iterator = iter(found)
    next(iterator)
    after = printed(live_view(found), 120)
    assert len(before.splitlines()) == len(after.splitlines())
    assert before.count("·") > after.count("·") > 0


def test_lines_where_there_is_no_terminal(suite_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ps.probe_live(suite_folder, "One two three", "L0.attn_out", size="tiny")
    assert follow(found)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"tiny/seed1/step{step}" for step in (16, 0, 4, 1)]


def test_what_came_before_an_interrupt_is_kept(suite_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ps.probe_live(suite_folder, "One two three", "L0.attn_out", size="tiny")
    coming = found._coming

    def interrupted() -> Iterator[LiveReading]:
        yield next(coming)
        yield next(coming)
        raise KeyboardInterrupt

    found._coming = interrupted()
    assert not follow(found)
    assert [reading.key.step for reading in found.readings] == [16, 0]
    assert "2 of 4 checkpoints" in printed(live_table_view(found))
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_cells_stand_for_the_nearest_step_in_log() -> None:
    line = StepCells([0, 1, 3, 7, 15], width=9)
    assert line.curve({0: 0.0, 1: 0.25, 3: 0.5, 7: 0.75, 15: 1.0}, 0, 1).plain in ("▁▁▃▃▅▅▇▇█", "▁▃▃▅▅▇▇██")
    assert line.curve({}, 0, 1).plain == "·" * 9
    assert StepCells([5]).curve({5: math.nan}).plain == "·" * 36
    assert line.ticks().plain.rstrip().endswith("15")
    assert line.ticks().plain.startswith("0")


def test_phases_are_marks_below_the_same_steps() -> None:
    rows = [(0, 3, "flat", ""), (3, 15, "sharply rising", "uniform"), (15, 63, "slowly falling", "")]
    phases = pd.DataFrame(rows, columns=["start", "end", "label", "name"])
    assert StepCells([0, 1, 3, 7, 15, 31, 63], width=7).phases(phases).plain == "──▲▲╲╲╲"
    assert phase_words(phases).plain == "─ flat to 3, ▲ uniform to 15, ╲ slowly falling to 63"


def test_which_phases_are_shown(tmp_path: Path) -> None:
    rows = [
        ("surprisal", "tiny", None, 0, 0.0, 16.0, "flat"),
        ("surprisal", "tiny", 1, 0, 0.0, 16.0, "slowly rising"),
        ("entropy", "tiny", 2, 0, 0.0, 16.0, "slowly falling"),
        ("entropy", "tiny", 1, 0, 0.0, 16.0, "flat"),
        ("kl", "small", None, 0, 0.0, 16.0, "flat"),
    ]
    columns = ["curve", "size", "seed", "phase", "start", "end", "label"]
    table = pd.DataFrame(rows, columns=columns).astype({"seed": "Int64"})
    chosen = phases_beside(table, tmp_path, "tiny")
    assert chosen.curve == "surprisal"  # there is no KL of this size
    assert chosen.phases is not None
    assert list(chosen.phases["label"]) == ["flat"]  # of the mean of the seeds
    seeds = phases_beside(table, tmp_path, "tiny", "entropy").phases
    assert seeds is not None
    assert list(seeds["seed"]) == [1]
    assert "phasescope analyse" in phases_beside(None, tmp_path, "tiny", "kl").note
    with pytest.raises(PhasescopeError, match="Did you mean surprisal"):
        phases_beside(table, tmp_path, "tiny", "suprisal")


def test_a_recorded_layer_over_phases(captured: Path) -> None:
    run = ps.open_run(captured)
    layer = run.layer(1, "mlp_out", size="tiny")
    beside = phases_beside(run.phases(), captured, "tiny", "surprisal")
    text = printed(
        layer_view(layer.convergence(), layer.settling(), str(layer), rank=layer.effective_rank(), beside=beside)
    )
    assert "Phases of surprisal:" in text
    assert text.count("CKA seed") == 2
    assert "settles" in text


def test_a_watched_run_says_that_it_is_not_final(captured: Path) -> None:
    watch = Watch.begin(RunFolder(captured), "tiny", Site(1, "mlp_out"))
    watch.refresh()
    assert "That is all." in printed(watch_view(watch))
    watch.done = False
    assert "Not final" in printed(watch_view(watch))
    assert "0 of 0" in printed(watch_view(Watch(RunFolder(captured), "tiny", Site(1, "mlp_out"))))


def test_a_notebook_shows_runs_layers_and_live_probes(captured: Path, results: LiveResults, tmp_path: Path) -> None:
    run = ps.open_run(captured)
    layer = run.layer(1, "mlp_out", size="tiny")
    layer.settling()
    for html in (run_html(run), run._repr_html_(), layer._repr_html_()):
        root = ElementTree.fromstring(html)
        assert root.tag == "table"
    assert layer._repr_html_().count("<svg") == 2  # one for each seed
    assert results._repr_html_().count("<svg") == 4
    assert "[bold]" in results._repr_html_().replace("|", "")
    assert "<script" not in layer_html("<script>", None, None)


def test_a_cell_that_ends_with_a_live_probe_shows_all_of_it(captured: Path) -> None:
    results = ps.open_run(captured).layer(1, "mlp_out", size="tiny").live("A list of numbers.", seeds=[1])
    assert "0 of 4 checkpoints" in repr(results)
    assert "4 of 4 checkpoints read" in results._repr_html_()


def test_showing_a_layer_computes_nothing(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    assert "compute" in run.layer(1, "mlp_out", size="tiny")._repr_html_()
    assert not list((run.path / "results").glob("*.parquet"))


def test_lines_in_a_notebook() -> None:
    root = ElementTree.fromstring(svg_line({0: 0.0, 1: 1.0, 3: math.nan, 7: 0.5}, 0, 1))
    line = next(root.iter("polyline")).get("points")
    assert line is not None
    assert [float(point.split(",")[1]) for point in line.split()] == [22.0, 2.0, 12.0]
    assert svg_line({0: math.nan}) == "–"
    assert "NaN" not in svg_line({5: 2.0})
