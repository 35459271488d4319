"""The batch script for Slurm, in a real Slurm of one node that is begun for it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import digests
from tests.docs.pages import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CONFIGURATION = """
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/none
CredType=cred/none
AuthInfo=cred_expire=1
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MailProg=/bin/true
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Its folder; it goes without munge, which needs a user of its own."""
    if not all(map(shutil.which, ("slurmctld", "slurmd", "sbatch"))) or os.getuid():
        pytest.skip("needs Slurm (Debian's slurm-wlm), and root to begin it")
    folder, host = tmp_path / "slurm", socket.gethostname()
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in (one, other)]
    cores = len(os.sched_getaffinity(0))
    text = CONFIGURATION.format(host=host.split(".")[0], ports=ports, folder=folder, cores=cores)
    (folder / "slurm.conf").write_text(text)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    daemons = [subprocess.Popen(command, **quiet) for command in (["slurmctld", "-D", "-c"], ["slurmd", "-D"])]  # type: ignore[call-overload]
    try:
        wait_until(lambda: "idle" in said("sinfo", "--noheader", "--format=%T"), 60)
        yield folder
    finally:
        said("scancel", "--user=root")
        wait_until(lambda: not said("squeue", "--noheader"), 60)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()


def said(*command: str) -> str:
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout


def wait_until(there: object, seconds: float) -> None:
    assert callable(there)
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until, said("squeue")
        time.sleep(0.2)


def test_a_job_that_is_told_to_end_is_queued_again_and_goes_on(
    slurm: Path, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, log = tmp_path / "run", tmp_path / "job.log"
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "phasescope"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m phasescope.cli "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = ROOT / "examples" / "cluster" / "slurm.sh"
    asked = ["--texts", texts_file, "--sequences", "12", "--context", "32", "--output-sequences", "4"]
    submit = ["sbatch", "--parsable", "--nodes=1", "--cpus-per-task=1", f"--output={log}", script, "capture"]
    job = said(*map(str, [*submit, suite_folder, "--out", run, "--progress", "lines", *asked])).strip()
    assert job.isdecimal()

    def shards() -> int:
        return len(list(run.glob("checkpoints/*/*/step*.h5")))

    try:
        wait_until(lambda: shards() >= 2, 240)
        said("scancel", "--signal=TERM", "--batch", job)
        wait_until(lambda: "Stopped. Nothing captured is lost" in log.read_text(), 60)
        assert 2 <= shards() < 16
        assert not list(run.rglob(".*.tmp-*"))
        wait_until(lambda: shards() == 16 and not said("squeue", "--noheader", f"--jobs={job}"), 400)
    finally:
        told = log.read_text() if log.exists() else ""
        sys.stdout.write(told)
    assert told.count(f"1 worker on 1 node: all of them see {run}.") == 2
    assert digests(run) == digests(captured)
