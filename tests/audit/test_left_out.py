"""What certainly is not what its name says is in no table, unless it is to be kept; and that is said."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phasescope as ps
from phasescope.audit import audit_suite
from phasescope.cli import app
from phasescope.errors import PhasescopeWarning
from phasescope.reports.kit.gaps import gaps
from phasescope.reports.kit.steps_axis import position
from phasescope.store import ShardKey
from tests.conftest import make_suite

STEPS = (0, 1, 2, 4, 8, 16)
COPIES = (0, 1, 2, 4)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, texts_file: Path) -> Path:
    """A run of a suite in which one seed's last weights lie under its first four steps' names."""
    root = tmp_path_factory.mktemp("copies")
    suite = make_suite(root / "suite", sizes=("tiny",), seeds=(1, 2), steps=STEPS)
    for step in COPIES:
        shutil.rmtree(suite / f"tiny/seed1/step{step}")
        shutil.copytree(suite / "tiny/seed1/step16", suite / f"tiny/seed1/step{step}")
    ps.capture(suite, texts_file, root / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    return root / "run"


def test_tables_leave_copies_out_and_say_so(copied: Path) -> None:
    run = ps.open_run(copied)
    assert run.reader.suspects == {ShardKey("tiny", 1, step) for step in COPIES}
    assert run.steps("tiny", 1) == [8, 16]
    settling = run.settling()
    assert settling.attrs["suspect"] == (
        "4 checkpoints certainly not what the name says are left out (--keep-suspect keeps them): tiny seed 1: steps "
        "0, 1, 2 and 4 hold the same weights as step 16."
    )
    assert set(settling[settling["seed"] == 1]["first_step"]) == {8}
    convergence = run.convergence()
    assert set(convergence[convergence["seed"] == 1]["step"]) == {8, 16}
    assert set(convergence[convergence["seed"] == 2]["step"]) == set(STEPS)
    # KL between a seed and a copy of another step says nothing of this step.
    assert set(run.seed_divergence()["step"]) == {8, 16}

    kept = ps.open_run(copied, keep_suspect=True)
    with_copies = kept.convergence()
    assert set(with_copies[with_copies["seed"] == 1]["step"]) == set(STEPS)
    assert (with_copies[with_copies["seed"] == 1].query("step <= 4")["cka"] > 1 - 1e-6).all()
    assert "are kept: tiny seed 1" in with_copies.attrs["suspect"]
    assert set(kept.seed_divergence()["step"]) == set(STEPS)
    # And back: the tables of the one are not taken for those of the other.
    assert set(ps.open_run(copied).seed_divergence()["step"]) == {8, 16}


def test_reports_and_commands_say_it(copied: Path) -> None:
    left = "4 checkpoints are therefore in no number here (--keep-suspect keeps them)."
    run = ps.open_run(copied)
    text = run.report(copied.parent / "page.html").read_text(encoding="utf-8")
    assert text.index(left) < text.index('id="methods"')
    call = CliRunner().invoke
    shown = call(app, ["analyse", str(copied), "surprisal"]).stdout
    assert "tiny seed 1: steps 0, 1, 2 and 4 hold the same weights as step 16." in " ".join(shown.split())
    rows = json.loads(call(app, ["analyse", str(copied), "surprisal", "--json", "--keep-suspect"]).stdout)["surprisal"]
    assert len(rows) == 12
    rows = json.loads(call(app, ["layer", str(copied), "0", "mlp_out", "--json"]).stdout)["convergence"]
    assert len(rows) == 8
    rows = json.loads(call(app, ["layer", str(copied), "0", "mlp_out", "--json", "--keep-suspect"]).stdout)
    assert len(rows["convergence"]) == 12
    assert call(app, ["audit", str(copied), "--strict"]).exit_code == 1


def test_no_final_state_is_made_of_a_suspect_silently(copied: Path, tmp_path: Path, texts_file: Path) -> None:
    suite = Path(shutil.copytree(copied.parent / "suite", tmp_path / "suite"))
    for step in COPIES:
        shutil.rmtree(suite / f"tiny/seed1/step{step}")
    # The last step of a seed is that of another.
    shutil.rmtree(suite / "tiny/seed2/step16")
    shutil.copytree(suite / "tiny/seed1/step16", suite / "tiny/seed2/step16")
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, sites="mlp_out", output_sequences=2)
    with pytest.warns(PhasescopeWarning, match=r"Last steps of .* are suspect .*tiny/seed2/step16.* earlier step"):
        settling = run.settling()
    assert set(settling[settling["seed"] == 2]["last_step"]) == {8}
    assert set(settling[settling["seed"] == 1]["last_step"]) == {16}
    with pytest.warns(PhasescopeWarning, match="are suspect and left out"):
        text = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    said = "What is called final of tiny seed 2 is of step 8, not of 16."
    assert text.index(said) < text.index('id="methods"')
    kept = ps.open_run(run.path, keep_suspect=True)
    with pytest.warns(PhasescopeWarning, match=r"Last steps of .*tiny/seed2/step16.* all others are compared with"):
        kept.settling()
    assert kept.reader.suspect_ends == []


def test_who_looks_at_a_run_writes_nothing(copied: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(copied, tmp_path / "run"))
    kept = run / "results/audit.json"
    assert kept.is_file()  # the capture wrote it
    shutil.rmtree(run / "results")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    call = CliRunner().invoke
    for command in (["info", str(run)], ["info", str(run), "--json"]):
        assert call(app, command).exit_code == 0
    assert ps.open_run(run).audit()
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
    call(app, ["audit", str(run)])
    assert kept.is_file()


def test_a_trunk_that_branches_share_is_no_copy(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    names = {
        "stage1-step4": "tiny/seed1/step4",
        "stage2-ingredient1-step1": "tiny/seed1/step16",
        "stage2-ingredient2-step1": "tiny/seed2/step16",
    }
    for name, place in names.items():
        shutil.copytree(suite_folder / place, tmp_path / "suite" / name)
    suite = ps.open_suite(tmp_path / "suite")
    assert [(one.seed, one.step) for one in suite] == [(1, 4), (2, 4), (1, 5), (2, 5)]
    assert [one.sentence for one in audit_suite(suite) if one.is_suspect] == []
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    shared = [(one["seed"], one["step"], one.get("shared_with")) for one in run.manifest["checkpoints"]]
    assert sorted(shared) == [(1, 4, None), (1, 5, None), (2, 4, 1), (2, 5, None)]
    assert run.audit() == []
    assert run.steps("suite", 2) == [4, 5]


def test_figures_mark_what_is_left_out_and_why(copied: Path) -> None:
    run = ps.open_run(copied)
    layer = run.layer(0, "mlp_out")
    crosses = [note for note in layer.plot().layout.annotations if note.hovertext]
    assert [note.hovertext for note in crosses] == ["left out: steps 0, 1, 2, 4 seed 1, same weights as step 16"]
    # From the first step to half-way between 4 and 8, where the other seed goes on: log2(1 + step).
    band = next(shape for shape in layer.plot().layout.shapes if shape.type == "rect")
    assert band.x0 < position(0)
    assert band.x1 == pytest.approx((position(4) + position(8)) / 2, abs=1e-3)
    assert band.x0 <= crosses[0].x <= band.x1
    kept = ps.open_run(copied, keep_suspect=True).layer(0, "mlp_out").plot()
    assert not [note for note in kept.layout.annotations if note.hovertext]
    # Of all sizes together it is said of which.
    assert [gap.text for gap in gaps(run.reader)] == [
        "left out: steps 0, 1, 2, 4 of tiny seed 1, same weights as step 16"
    ]
    counted = layer.plot(axis="tokens=1000")
    assert counted.layout.xaxis.title.text == "tokens read (log scale, with 0)"
    moved = next(shape for shape in counted.layout.shapes if shape.type == "rect")
    assert (moved.x0, moved.x1) == pytest.approx((band.x0, band.x1), abs=1e-3)


@pytest.mark.parametrize("command", [["layer", "0", "mlp_out"], ["analyse", "convergence"], ["phases"]])
def test_the_terminal_says_it_first(command: list[str], copied: Path) -> None:
    ps.open_run(copied).analyse("convergence", "surprisal", "phases")
    name, *more = command
    done = CliRunner().invoke(app, [name, str(copied), *more])
    assert done.exit_code == 0
    assert done.stdout.startswith("4 checkpoints certainly not what the name says are left out")
