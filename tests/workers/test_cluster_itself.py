"""A crew on a real cluster of two nodes: what is given is done and comes back, whatever happens to those who do it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.workers import Task
from phasescope.workers.cluster import Cluster
from tests.workers.ray_cluster import two_nodes
from tests.workers.test_processes import Unloadable, Work, all_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as cluster:
        yield cluster


def test_tasks_come_back_once_each_from_both_nodes(cluster: Any, tmp_path: Path) -> None:
    with Cluster(Work(tmp_path), cluster.address) as crew:
        assert (crew.size, crew.free, crew.busy) == (2, 2, 0)
        assert crew.take() is None
        found = all_of(crew, [Task("square", (number,), "") for number in range(20)])
        who = [one.result for one in all_of(crew, [Task("who", (), "")] * 2)]
    assert sorted((one.task.arguments[0], one.result) for one in found) == [(n, n**2) for n in range(20)]
    assert len({process for process, _ in who}) == 2
    assert {threads for _, threads in who} == {"1"}
    until = time.monotonic() + 20
    while any(psutil.pid_exists(process) for process, _ in who):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_what_goes_wrong_is_told_here(cluster: Any, tmp_path: Path) -> None:
    with Cluster(Work(tmp_path), cluster.address, 1) as crew:
        assert crew.size == 1
        with pytest.warns(PhasescopeWarning, match="It is as it is"):
            assert all_of(crew, [Task("warned", (), "")])[0].result == "told"
        for how, kind, said in [
            ("sentence", PhasescopeError, "^It cannot be done: do another.$"),
            ("unpicklable", RuntimeError, "UnpicklableError: this and that"),
            ("result", RuntimeError, "a result that cannot be sent"),
        ]:
            with pytest.raises(kind, match=said):
                all_of(crew, [Task("fail", (how,), "")])


def test_a_worker_that_dies_is_followed_by_another(cluster: Any, tmp_path: Path) -> None:
    with Cluster(Work(tmp_path), cluster.address) as crew:
        with pytest.warns(PhasescopeWarning, match="A worker on .* ended at the task: another one tries"):
            found = all_of(crew, [Task("square", (3,), ""), Task("die", (2,), "the task")])
        assert sorted(one.result for one in found) == [2, 9]
        (tmp_path / "died").unlink()
        with pytest.warns(PhasescopeWarning):
            (ended,) = all_of(crew, [Task("die", (9,), "the task")])
        assert "was killed, as where memory is short" in ended.died
        # One that dies before it was heard that it has begun does not count as ended by the task.
        assert (tmp_path / "died").read_text() in ("xxx", "xxxx")
        assert all_of(crew, [Task("square", (4,), "")])[0].result == 16


def test_workers_that_cannot_begin(cluster: Any) -> None:
    with (
        Cluster(Unloadable(), cluster.address, 1) as crew,
        pytest.raises(PhasescopeError, match=r"end before they begin: .* Ray's logs there say why"),
    ):
        all_of(crew, [Task("anything", (), "")])


def test_one_that_is_at_work_is_told_to_end(cluster: Any, tmp_path: Path) -> None:
    with Cluster(Work(tmp_path), cluster.address) as crew:
        crew.give(Task("write", (), ""))
        while not (tmp_path / "half").exists():
            assert crew.take(0.05) is None
    assert not (tmp_path / "half").exists()


def test_what_no_node_sees(cluster: Any, tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    with (
        pytest.warns(PhasescopeWarning, match="is left out: it does not see .*nowhere"),
        pytest.raises(PhasescopeError, match=r"No node of the cluster sees .*nowhere.*--workers"),
    ):
        Cluster(Work(tmp_path), cluster.address, sources=[missing]).__enter__()
