"""Captures by several at once: what is there afterwards is what one process would have made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeWarning
from phasescope.store import RunFolder
from phasescope.visits import Summary, compare_run
from phasescope.visits.captured import Captured
from phasescope.visits.checkpoint import key_of
from phasescope.visits.prefetch import Prefetch
from phasescope.visits.schedule import Cohort, Schedule
from phasescope.workers import Processes, Workforce
from tests.conftest import digests
from tests.suites.hub_server import Repository, connect, serving

ASKED = {"sequences": 12, "context": 32, "output_sequences": 4}


@pytest.mark.slow
def test_killed_stopped_and_gone_on_it_is_what_one_process_makes(
    captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = [
        sys.executable, "-m", "phasescope.cli", "capture", str(suite_folder), "--out", str(run), "--texts",
        str(texts_file), "--sequences", "12", "--context", "32", "--output-sequences", "4", "--workers", "2",
    ]  # fmt: skip
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for_shards(1, run, process)
    workers = psutil.Process(process.pid).children()
    assert len(workers) == 2
    workers[0].kill()
    wait_for_shards(4, run, process)
    workers += psutil.Process(process.pid).children()
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert "Note: A worker ended (SIGKILL, as where memory is short) at tiny/" in errors
    assert errors.endswith("Stopped. Nothing captured is lost: run the same command again to go on.\n")
    assert "Traceback" not in errors
    assert not any(worker.is_running() for worker in workers)
    assert not list(run.rglob(".*.tmp-*"))
    assert 4 <= len(RunFolder(run).shards()) < 16
    ps.capture(suite_folder, texts_file, run, **ASKED)
    assert digests(run) == digests(captured)


def wait_for_shards(number: int, run: Path, process: subprocess.Popen[str]) -> None:
    while len(list(run.glob("checkpoints/*/*/step*.h5"))) < number:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def test_from_the_hub_within_a_limit_and_nothing_is_asked_twice(
    suite_folder: Path, texts_file: Path, captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repositories = {
        f"toy/tiny-seed{seed}": Repository(
            {f"step{step}": suite_folder / f"tiny/seed{seed}/step{step}" for step in (0, 4)}
        )
        for seed in (1, 2)
    }
    one = (suite_folder / "tiny/seed1/step0/model.safetensors").stat().st_size
    asked = []
    with serving(repositories, tmp_path / "cache-1", monkeypatch) as hub:
        for workers in (1, 2):
            connect(hub, tmp_path / f"cache-{workers}", monkeypatch)
            for name, value in {**hub.environment, "HF_HUB_CACHE": str(tmp_path / f"cache-{workers}")}.items():
                monkeypatch.setenv(name, value)
            hub.requests.clear()
            ps.capture(
                "toy/tiny-seed{seed}", texts_file, tmp_path / f"run-{workers}", cache_limit=int(2.5 * one),
                workers=workers, **ASKED,
            )  # fmt: skip
            asked.append(sorted(line for line in hub.requests if "/revision/" in line))
    assert len(asked[0]) >= 4
    assert asked[0] == asked[1]
    assert digests(tmp_path / "run-1") == digests(tmp_path / "run-2")
    assert len(digests(tmp_path / "run-2")) == 4 + 2


class Fatal:
    """Visits, of which those to step 4 end their process."""

    def visit(self, checkpoint: ps.Checkpoint, there: object) -> Summary:
        if checkpoint.step == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return Summary(key_of(checkpoint))

    def compare(self, checkpoints: list[ps.Checkpoint], there: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_checkpoint_that_ends_three_workers_is_bad_and_a_cohort_is_left_out(captured: Path, tmp_path: Path) -> None:
    from phasescope.console import progress
    from phasescope.suites.transfer import Transfer

    folder = RunFolder(Path(shutil.copytree(captured, tmp_path / "run")))
    shutil.rmtree(folder.path / "cohorts")
    suite = ps.Suite(
        "toy", "toy", tuple(ps.Checkpoint("toy", "tiny", seed, step, "toy") for seed in (1, 2) for step in (0, 4))
    )
    visiting = frozenset(checkpoint for checkpoint in suite if checkpoint.seed == 1)
    cohorts = [Cohort(cohort, visiting & {*cohort}) for _, _, cohort in suite.cohorts()]
    folder.shard(key_of(suite.checkpoint("tiny", 1, 4))).unlink()
    done = Captured(folder)
    with (
        pytest.warns(PhasescopeWarning) as told,
        progress(2, "", "") as tracker,
        Prefetch([], Transfer()) as prefetch,
        Processes(Fatal(), 2) as crew,
    ):
        Schedule(crew, cohorts, True, folder, prefetch, None, tracker, done).run()
    reasons = {summary.key.label: summary.reason for summary in done.visits}
    assert reasons.pop("tiny/seed1/step0") == ""
    last = "the last one: SIGKILL, as where memory is short"
    assert reasons == {"tiny/seed1/step4": f"It ended each of the workers that tried to read it ({last})."}
    assert tracker.failed == 1
    assert "tiny/step0: comparing 2 seeds was left out: it ended each of the workers" in str(told[-1].message) + str(
        told[-2].message
    )
    assert done.cohorts == []


@pytest.mark.slow
def test_comparisons_by_several_are_those_of_one(captured: Path, tmp_path: Path) -> None:
    one, several = (Path(shutil.copytree(captured, tmp_path / name)) for name in ("one", "several"))
    before = compare_run(RunFolder(one))
    assert compare_run(RunFolder(several), workers=Workforce(2)).as_record() == before.as_record()
    assert before.made == before.total == 4 * 4 + 2 * 4
    for path in RunFolder(one).comparisons():
        assert path.read_bytes() == (several / path.relative_to(one)).read_bytes()
    RunFolder(several).comparisons()[3].unlink()
    assert compare_run(RunFolder(several), workers=Workforce(2)).as_record() == {
        "made": 1,
        "already": 23,
        "left_out": 0,
    }
