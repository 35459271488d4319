"""Crews: what is given is done and comes back, whatever happens to those who do it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import psutil
import pytest

from phasescope.errors import BadArgumentError, PhasescopeError, PhasescopeWarning
from phasescope.workers import Crew, Ended, Here, Processes, Task, Workforce


class UnpicklableError(Exception):
    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} and {two}")


class Work:
    """What tests have done; importable, so that other processes find it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def square(self, number: int) -> int:
        return number**2

    def who(self) -> tuple[int, str]:
        time.sleep(0.3)
        return os.getpid(), os.environ["OMP_NUM_THREADS"]

    def warned(self) -> str:
        print("no result")
        warnings.warn("It is as it is.", PhasescopeWarning, stacklevel=2)
        return "told"

    def fail(self, how: str) -> object:
        if how == "sentence":
            raise PhasescopeError("It cannot be done: do another.")
        if how == "system":
            raise FileNotFoundError(2, "No such file", "here.h5")
        if how == "unpicklable":
            raise UnpicklableError("this", "that")
        return lambda: None

    def die(self, times: int) -> int:
        """End this process, so many times."""
        mark = self.folder / "died"
        died = len(mark.read_text()) if mark.exists() else 0
        if died < times:
            mark.write_text("x" * (died + 1))
            os.kill(os.getpid(), signal.SIGKILL)
        return died

    def write(self) -> None:
        try:
            (self.folder / "half").touch()
            time.sleep(60)
        finally:
            (self.folder / "half").unlink()


class Unloadable:
    """Work that ends whoever is given it."""

    def __reduce__(self) -> object:
        return os._exit, (3,)


def all_of(crew: Crew, tasks: list[Task]) -> list[Ended]:
    found, left = [], list(tasks)
    while left or crew.busy:
        while left and crew.free:
            crew.give(left.pop(0))
            if crew.size == 1:
                break
        if ended := crew.take():
            found.append(ended)
    return found


@pytest.mark.parametrize("several", [False, True])
def test_tasks_come_back_once_each(several: bool, tmp_path: Path) -> None:
    crew: Crew = Processes(Work(tmp_path), 2) if several else Here(Work(tmp_path))
    with crew:
        assert crew.take() is None
        found = all_of(crew, [Task("square", (number,), "") for number in range(20)])
    assert sorted((one.task.arguments[0], one.result) for one in found) == [(n, n**2) for n in range(20)]


def test_processes_share_the_threads_and_end_with_the_block(tmp_path: Path) -> None:
    import torch

    with Processes(Work(tmp_path), 2) as crew:
        found = [one.result for one in all_of(crew, [Task("who", (), "")] * 2)]
        assert all(psutil.pid_exists(process) for process, _ in found)
    assert len({process for process, _ in found} - {os.getpid()}) == 2
    assert {threads for _, threads in found} == {str(max(torch.get_num_threads() // 2, 1))}
    assert not any(psutil.pid_exists(process) for process, _ in found)


def test_what_goes_wrong_is_told_here(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Processes(Work(tmp_path), 1) as crew:
        with pytest.warns(PhasescopeWarning, match="It is as it is"):
            assert all_of(crew, [Task("warned", (), "")])[0].result == "told"
        for how, kind, said in [
            ("sentence", PhasescopeError, "^It cannot be done: do another.$"),
            ("system", FileNotFoundError, "here.h5"),
            ("unpicklable", RuntimeError, "UnpicklableError: this and that"),
            ("result", RuntimeError, "a result that cannot be sent"),
        ]:
            with pytest.raises(kind, match=said) as error:  # type: ignore[arg-type]
                all_of(crew, [Task("fail", (how,), "")])
            if how in ("system", "unpicklable"):
                assert "in fail" in "".join(error.value.__notes__)
    assert capfd.readouterr().out == ""


def test_a_worker_that_dies_is_followed_by_another(tmp_path: Path) -> None:
    with Processes(Work(tmp_path), 2) as crew:
        with pytest.warns(PhasescopeWarning, match="ended .SIGKILL, as where memory is short. at the task: another"):
            found = all_of(crew, [Task("square", (3,), ""), Task("die", (2,), "the task")])
        assert sorted(one.result for one in found) == [2, 9]
        (tmp_path / "died").unlink()
        with pytest.warns(PhasescopeWarning):
            (ended,) = all_of(crew, [Task("die", (9,), "the task")])
        assert "SIGKILL" in ended.died
        assert (tmp_path / "died").read_text() == "xxx"
        assert all_of(crew, [Task("square", (4,), "")])[0].result == 16


def test_workers_that_cannot_begin() -> None:
    with Processes(Unloadable(), 1) as crew, pytest.raises(PhasescopeError, match=r"\(with status 3\).*--workers 1"):
        all_of(crew, [Task("anything", (), "")])


def test_one_that_is_at_work_is_told_to_end(tmp_path: Path) -> None:
    with Processes(Work(tmp_path), 1) as crew:
        crew.give(Task("write", (), ""))
        while not (tmp_path / "half").exists():
            assert crew.take(0.05) is None
    assert not (tmp_path / "half").exists()


def test_workers_do_not_outlive_the_one_they_work_for(tmp_path: Path) -> None:
    code = """
import sys; from pathlib import Path; from tests.workers.test_processes import Work; from phasescope.workers import *
with Processes(Work(Path(sys.argv[1])), 1) as crew:
    crew.give(Task("write", (), "")); crew.take()
"""
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)])
    while not (tmp_path / "half").exists():
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    until = time.monotonic() + 20
    while (tmp_path / "half").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_number_of_workers_that_cannot_be() -> None:
    with pytest.raises(BadArgumentError, match=r"100000 workers are more than this machine's \d+ cores?: .*fewer\."):
        Workforce(100_000).require()
    with pytest.raises(BadArgumentError, match="--workers 0 is too few"):
        Workforce(0).require()
    for several in (Workforce(2), Workforce(cluster="auto")):
        with pytest.raises(BadArgumentError, match="leave out --workers and --cluster, or --remote"):
            several.require(remote=True)
