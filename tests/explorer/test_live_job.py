"""Live probes in the background: one at a time, stopped by the next, told when they fail."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import phasescope as ps
from phasescope.explorer.live_job import Asked, How, Job, Jobs
from phasescope.hooks import Site


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
def jobs(explored: Path) -> Jobs:
    return Jobs(How.of(ps.open_run(explored).manifest))


def asked(text: str = "The layers say what the weather is.", **changed: Any) -> Asked:
    usual = Asked(text, site=Site(1, "mlp_out"), head=None, size="small", seeds=(1, 2), steps="all")
    return replace(usual, **changed)


def test_readings_come_one_by_one(jobs: Jobs) -> None:
    job = jobs.start(asked())
    until(lambda: not job.active)
    assert (job.state, job.problem, len(job.readings), job.total) == ("done", "", 8, 8)
    assert job.steps == (0, 1, 4, 16)
    assert "".join(job.pieces) == "The layers say what the weather is."
    assert job.first_after is not None


def test_a_second_text_stops_the_first(jobs: Jobs) -> None:
    first = jobs.start(asked())
    until(lambda: len(first.readings) > 0)
    second = jobs.start(asked("Other words.", steps="last"))
    until(lambda: not second.active)
    assert first.state == "stopped"
    assert len(first.readings) < 8
    assert (second.state, len(second.readings)) == ("done", 2)
    assert jobs.latest is second


def test_stopped_jobs_stay_stopped_whatever_they_were_doing(jobs: Jobs) -> None:
    made: list[Job] = [jobs.start(asked()) for _ in range(3)]
    jobs.stop()
    last = jobs.start(asked(steps="last", seeds=(1,)))
    until(lambda: not last.active)
    assert [job.state for job in made] == ["stopped"] * 3
    assert last.state == "done"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"text": ""}, "There is no text to read"),
        ({"site": Site(9, "mlp_out")}, "There is no layer 9"),
        ({"seeds": ()}, "The choice of seeds is empty"),
    ],
)
def test_what_cannot_be_probed_is_told(jobs: Jobs, changed: dict[str, Any], problem: str) -> None:
    job = jobs.start(asked(**changed))
    until(lambda: not job.active)
    assert job.state == "failed"
    assert problem in job.problem


def test_a_suite_that_has_moved_is_told_and_its_new_place_taken(explored: Path, suite_folder: Path) -> None:
    manifest = {**ps.open_run(explored).manifest, "source": "/gone"}
    lost, found = (Jobs(How.of(manifest, suite)) for suite in (None, str(suite_folder)))
    there, gone = found.start(asked(steps="last")), lost.start(asked())
    until(lambda: not there.active and not gone.active)
    assert "name its new place with --suite" in gone.problem
    assert there.state == "done"


FIRST = """
import sys, threading
from pathlib import Path
import phasescope as ps
from phasescope.explorer import app
from phasescope.explorer.live_job import Asked, How, Jobs
from phasescope.hooks import Site
how = How.of(ps.open_run(Path(sys.argv[1])).manifest)
warming = threading.Thread(target=lambda: (app._tokenizer(how), app._make_ready(how)))
warming.start()
job = Jobs(how).start(Asked("A text.", Site(1, "mlp_out"), None, "small", (1,), "last"))
while job.active:
    warming.join(0.01)
warming.join()
print(job.state, job.problem)
"""


def test_the_first_probe_may_come_while_libraries_are_being_loaded(explored: Path) -> None:
    """In a process that has none yet: two threads that import transformers at once would leave one without it."""
    done = subprocess.run([sys.executable, "-c", FIRST, str(explored)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "done", done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_code_that_comes_with_a_checkpoint_is_never_trusted_because_the_run_says_so(explored: Path) -> None:
    manifest = ps.open_run(explored).manifest
    manifest = {**manifest, "asked": {**manifest["asked"], "trust_remote_code": True}}
    assert not How.of(manifest).probes.trust_remote_code
