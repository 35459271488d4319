"""`phasescope layer`, as a user runs it: recorded, live, watched."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from phasescope.cli import app
from tests.conftest import STEPS

TEXT = "A layer that has settled"


def phasescope(*arguments: object, status: int = 0) -> Result:
    """In this process: what differs in one of its own (imports, signals) is tested once, below."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == status, done.output
    return done


def one_sentence(done: Result) -> str:
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    return done.stderr


@pytest.fixture(scope="module")
def run(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(captured, tmp_path_factory.mktemp("cli-layer") / "run"))


def test_a_suite_that_has_no_run(suite_folder: Path) -> None:
    done = phasescope(
        "layer",
        suite_folder,
        1,
        "mlp_out",
        "--live",
        "--text",
        TEXT,
        "--size",
        "tiny",
        "--seeds",
        "2",
        "--steps",
        "0,4,16",
    )
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == [f"tiny/seed2/step{step}" for step in (16, 0, 4)]
    assert "L1.mlp_out of tiny, seed 2" in done.stdout
    assert "3 of 3 checkpoints" in lines[-1]


def test_a_run_and_json(run: Path) -> None:
    done = phasescope("layer", run, 1, "mlp_out", "--size", "tiny", "--live", "--text", TEXT, "--json")
    record = json.loads(done.stdout)
    assert record["site"] == "blocks.1.hook_mlp_out"
    assert "".join(record["tokens"]["tiny"]) == TEXT
    assert [reading["step"] for reading in record["readings"]] == list(STEPS)
    assert all(reading["against"] == 16 for reading in record["readings"])
    assert len(record["readings"][0]["cosines"]) == len(record["tokens"]["tiny"])


def test_phases_are_shown_where_there_are_some(run: Path) -> None:
    shutil.rmtree(run / "results", ignore_errors=True)
    asked = ("layer", run, 1, "mlp_out", "--size", "tiny")
    assert "phasescope analyse" in phasescope(*asked).stdout
    phasescope("analyse", run, "phases")
    shown = phasescope(*asked, "--phases", "surprisal").stdout
    assert "Phases of surprisal:" in shown
    record = json.loads(phasescope(*asked, "--json").stdout)
    assert {row["curve"] for row in record["phases"]} == {"kl"}
    assert "There are: kl" in one_sentence(phasescope(*asked, "--phases", "nonsense", status=1))


def test_watching_what_is_done_ends_at_once(run: Path) -> None:
    shown = phasescope("layer", run, 1, "mlp_out", "--size", "tiny", "--watch").stdout
    assert "8 of 8 checkpoints of tiny are there; the latest is step 16. That is all." in shown
    record = json.loads(phasescope("layer", run, 1, "mlp_out", "--size", "tiny", "--watch", "--json").stdout)
    assert (record["planned"], record["done"], len(record["seen"])) == (8, True, 8)


def test_watching_ends_with_the_last_shard_or_with_an_interrupt(run: Path, tmp_path: Path) -> None:
    partial = Path(shutil.copytree(run, tmp_path / "run"))
    last = partial / "checkpoints" / "tiny" / "seed2" / "step00000016.h5"
    last.rename(tmp_path / "kept.h5")
    command = [sys.executable, "-u", "-m", "phasescope.cli", "layer", str(partial), "1", "mlp_out", "--size", "tiny"]
    watching = [subprocess.Popen([*command, "--watch"], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in watching:
        assert process.stdout is not None
        while "7 of 8" not in process.stdout.readline():
            pass
    watching[0].send_signal(signal.SIGINT)
    shown, _ = watching[0].communicate(timeout=60)
    assert "Not final" in shown
    (tmp_path / "kept.h5").rename(last)
    shown, _ = watching[1].communicate(timeout=60)
    assert "That is all." in shown
    assert [process.returncode for process in watching] == [0, 0]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["SUITE", "1", "mlp_out", "--live", "--text", TEXT], "Several sizes are in this suite"),
        (["SUITE", "1", "mlp_out", "--live", "--text", TEXT, "--size", "tinny"], "Did you mean tiny"),
        (["SUITE", "7", "mlp_out", "--live", "--text", TEXT, "--size", "tiny"], "The nearest is 1"),
        (["SUITE", "1", "mlp_uot", "--live", "--text", TEXT, "--size", "tiny"], "mlp_out"),
        (["SUITE", "1", "mlp_out", "--live", "--text", "", "--size", "tiny"], "no text to read"),
        (["SUITE", "1", "mlp_out", "--watch"], "is not a run"),
        (["RUN", "1", "mlp_out", "--watch"], "Several sizes"),
        (["RUN", "1", "z", "--watch", "--size", "tiny"], "does not record L1.z"),
    ],
)
def test_what_a_user_can_put_right_is_one_sentence(
    suite_folder: Path, run: Path, arguments: list[str], sentence: str
) -> None:
    places = {"SUITE": str(suite_folder), "RUN": str(run)}
    no_model_has_it = "mlp_uot" in arguments  # a bad argument, whatever the suite
    done = phasescope("layer", *(places.get(part, part) for part in arguments), status=2 if no_model_has_it else 1)
    assert sentence in one_sentence(done)


@pytest.mark.parametrize("options", [["--live"], ["--text", TEXT], ["--live", "--watch", "--text", TEXT]])
def test_options_that_do_not_go_together(run: Path, options: list[str]) -> None:
    assert phasescope("layer", run, 1, "mlp_out", *options, status=2).stdout == ""
