"""What ends a command from outside: signals, and a folder that is deleted under it."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.reports.page.writing import write_whole
from phasescope.store import RunFolder, write_json
from phasescope.suites import train

STOPPED = "Stopped. Nothing captured is lost: run the same command again to go on."

PRELUDE = """
import os, signal, sys, time
from phasescope.stopping import stoppable
me = os.getpid()
"""


def says(code: str, **how: object) -> str:
    done = subprocess.run([sys.executable, "-c", PRELUDE + code], capture_output=True, text=True, timeout=60, **how)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_each_signal_is_an_interrupt_once_and_nothing_afterwards(name: str) -> None:
    code = f"""
before = signal.getsignal(signal.{name})
with stoppable():
    try:
        os.kill(me, signal.{name}); time.sleep(60)
    except KeyboardInterrupt:
        for _ in range(3): os.kill(me, signal.{name})  # `timeout`, shells and terminals repeat themselves
        print("tidied up")
print(signal.getsignal(signal.{name}) is before)
"""
    assert says(code) == "tidied up\nTrue\n"


def test_a_request_that_python_drops_is_made_again() -> None:
    code = """
class Finalised:
    def __del__(self): os.kill(me, signal.SIGTERM); time.sleep(0.1)
with stoppable():
    try:
        Finalised(); print("dropped", flush=True); time.sleep(60)
    except KeyboardInterrupt:
        print("stopped")
"""
    assert says(code) == "dropped\nstopped\n"


def test_what_is_to_be_ignored_stays_ignored() -> None:
    code = """
with stoppable(): os.kill(me, signal.SIGHUP); time.sleep(0.1); print("still here")
"""
    assert says(code, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) == "still here\n"


def test_other_threads_are_left_alone() -> None:
    code = """
import threading
def work():
    with stoppable(): print("worked")
thread = threading.Thread(target=work); thread.start(); thread.join()
"""
    assert says(code) == "worked\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
def test_a_process_that_a_library_forks_ends_as_any_other_though_just_asked() -> None:
    """A pool that is given up after Ctrl-C waits for its workers, which had inherited to heed no second request."""
    code = """
import multiprocessing
context = multiprocessing.get_context("fork")
def work(ready): ready.set(); time.sleep(60)
with stoppable():
    try:
        os.kill(me, signal.SIGINT); time.sleep(60)
    except KeyboardInterrupt:
        ready = context.Event()
        worker = context.Process(target=work, args=(ready,)); worker.start()
        ready.wait(); worker.terminate(); worker.join(30); print(worker.exitcode == -signal.SIGTERM)
        worker.kill()
"""
    assert says(code) == "True\n"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_what_a_library_reads_is_read_to_its_end(name: str) -> None:
    code = f"""
from phasescope.stopping import uninterrupted
with stoppable():
    try:
        with uninterrupted():
            os.kill(me, signal.{name}); os.kill(me, signal.{name}); time.sleep(0.1); print("read")
        time.sleep(60)
    except KeyboardInterrupt:
        print("stopped")
"""
    assert says(code) == "read\nstopped\n"


def test_who_asks_again_does_not_wait_for_what_is_read() -> None:
    code = """
import phasescope.stopping as stopping
stopping._SAME_REQUEST = 0.0
try:
    with stopping.uninterrupted():
        os.kill(me, signal.SIGINT); time.sleep(0.1); print("asked"); os.kill(me, signal.SIGINT); time.sleep(60)
except KeyboardInterrupt:
    print("stopped")
time.sleep(0.1); print("once")
"""
    assert says(code) == "asked\nstopped\nonce\n"


def test_a_thread_that_never_ends_does_not_keep_a_command_that_was_stopped() -> None:
    code = """
import atexit, threading
from phasescope.stopping import leaving_at_once_if_stopped
threading.Thread(target=threading.Event().wait).start()
atexit.register(print, "tidied up")
with leaving_at_once_if_stopped(), stoppable():
    try:
        os.kill(me, signal.SIGTERM); time.sleep(60)
    except KeyboardInterrupt:
        sys.exit(0)
"""
    assert says(code) == "tidied up\n"


def capturing(suite: Path, texts: Path, run: Path, **how: object) -> subprocess.Popen[str]:
    """A capture by the command, that has written its first shard."""
    command = [
        sys.executable, "-m", "phasescope.cli", "capture", str(suite), "--out", str(run), "--texts", str(texts),
        "--sequences", "12", "--context", "32", "--output-sequences", "4",
    ]  # fmt: skip
    process = subprocess.Popen(command, text=True, **how)  # type: ignore[call-overload]
    while not list(run.glob("checkpoints/*/*/step*.h5")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


def terminated(process: subprocess.Popen[str], run: Path) -> None:
    process.send_signal(signal.SIGTERM)


def deleted(process: subprocess.Popen[str], run: Path) -> None:
    while run.exists():  # what is written meanwhile is in the way of deleting
        shutil.rmtree(run, ignore_errors=True)


@pytest.mark.parametrize(("happens", "said"), [(terminated, STOPPED), (deleted, "was deleted or moved while it was")])
def test_a_capture_is_ended(
    happens: Callable[[subprocess.Popen[str], Path], None],
    said: str,
    suite_folder: Path,
    texts_file: Path,
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    process = capturing(suite_folder, texts_file, run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    happens(process, run)
    out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    assert said in errors
    assert "Traceback" not in errors
    if happens is deleted:
        assert not run.exists()
    else:
        is_ended_well(run)


def test_a_capture_whose_terminal_is_closed_ends_well(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    run = tmp_path / "run"
    process = capturing(
        suite_folder, texts_file, run, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),  # the session's first terminal is its own
    )  # fmt: skip
    os.close(theirs)
    os.close(ours)
    assert process.wait(60) == 1
    is_ended_well(run)


def is_ended_well(run: Path) -> None:
    shards = RunFolder(run).shards()
    assert 0 < len(shards) < 16
    with h5py.File(run / "run.h5") as index:
        assert all(f"checkpoints/{key.size}/seed{key.seed}/step{key.step:08d}" in index for key in shards)
    assert json.loads((run / "run.json").read_text())["seconds"] > 0
    assert not list(run.rglob(".*.tmp-*"))


def test_a_folder_that_is_gone_is_not_made_anew_by_what_is_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    for end in (lambda: shutil.rmtree(folder.path), lambda: folder.path.rename(tmp_path / "elsewhere")):
        with pytest.raises(PhasescopeError, match=r"run was deleted or moved while"), folder.writing(new=True):
            write_json(folder.path / "kept.json", 1)
            end()
            write_json(folder.path / "deep" / "more.json", 1)
        assert not folder.path.exists()
    with pytest.raises(PhasescopeError, match=r"run was deleted or moved while"), folder.writing(new=True):
        shutil.rmtree(folder.path)
        (folder.path / "kept.json").read_text()


def test_a_folder_replaced_by_another_is_not_written_into(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(PhasescopeError, match=r"run was deleted or moved while"), folder.writing(new=True):
        folder.path.rename(tmp_path / "before")
        folder.path.mkdir()
        write_json(folder.path / "kept.json", 1)
    assert not list(folder.path.iterdir())


def test_a_suite_deleted_while_it_is_trained(tmp_path: Path) -> None:
    def documents() -> object:
        yield "the layers settle one after the other " * 2000
        shutil.rmtree(tmp_path / "suite")

    with pytest.raises(PhasescopeError, match=r"suite was deleted or moved while"):
        train(tmp_path / "suite", documents(), sizes="150k", seeds=1, steps=1, batch=1, context=8, vocabulary=280)  # type: ignore[arg-type]
    assert not (tmp_path / "suite").exists()


def test_a_run_deleted_under_its_analyses_is_not_begun_anew(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    shutil.rmtree(run.path)
    with pytest.raises(PhasescopeError, match="no such folder"):
        run.analyse("evaluations")  # of which there need be none
    assert not run.path.exists()


def test_a_run_deleted_under_its_report_is_not_begun_anew(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="deleted or moved while its report was made"):
        write_whole(tmp_path / "run" / "report" / "index.html", "<html>", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_whole(tmp_path / "elsewhere.html", "<html>", tmp_path / "run")
    assert (tmp_path / "elsewhere.html").read_text() == "<html>"


@pytest.mark.parametrize("how", [["suites"], ["suites", "--json"]])
def test_an_output_that_has_no_space_is_one_sentence(how: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "phasescope.cli", *how], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 1
    assert done.stderr == "Error: There is no space left, where the output goes. Free some and run it again.\n"
