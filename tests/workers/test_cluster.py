"""Crews on a cluster: how cores and GPUs are shared out; and what a real one of two nodes does."""

from __future__ import annotations

import pytest

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.workers import Workforce
from phasescope.workers.cluster import Cluster
from phasescope.workers.ray_nodes import Node, Share, Told, require_same, rooms, shares


def nodes(*has: tuple[int, int]) -> list[Node]:
    return [Node(str(place), f"node{place}", *each) for place, each in enumerate(has)]


@pytest.mark.parametrize(
    ("has", "number", "gpus", "share", "room"),
    [
        ([(4, 0), (4, 0)], None, True, Share(8, 1), [4, 4]),
        ([(4, 0), (4, 0)], 2, True, Share(2, 4), [1, 1]),
        ([(4, 0), (4, 0)], 3, True, Share(3, 2), [2, 1]),
        ([(4, 0), (2, 0)], 2, True, Share(2, 2), [1, 1]),
        ([(7, 0), (1, 0)], 2, True, Share(2, 3), [2, 0]),
        ([(4, 0), (4, 0)], 100, True, Share(8, 1), [4, 4]),
        ([(16, 4), (8, 0)], None, True, Share(4, 4, 1), [4, 0]),
        ([(16, 4), (8, 0)], None, False, Share(24, 1), [16, 8]),
        ([(16, 1), (16, 1)], 6, True, Share(6, 5, 3), [3, 3]),
        ([(2, 4)], None, True, Share(2, 1, 1), [2]),
        ([(1, 0), (1, 1)], None, True, Share(1, 1, 1), [0, 1]),
    ],
)
def test_cores_and_gpus_are_shared(
    has: list[tuple[int, int]], number: int | None, gpus: bool, share: Share, room: list[int]
) -> None:
    there = nodes(*has)
    found = shares(there, number, gpus)
    assert found == share
    assert rooms(there, found) == room
    for node, workers in zip(there, room, strict=True):
        assert workers * found.cores <= node.cores
        assert workers * found.gpus <= node.gpus + 1e-9 if gpus and found.together else True


def test_nodes_that_would_make_something_else() -> None:
    same = Told("0f", "3.11.7", "2.13.0+cpu", True, "")
    require_same(nodes((1, 0), (1, 0)), [same, Told("0f", "3.11.9", "2.13.0+cu130", False, "")], same)
    for other, said in [
        (Told("", "3.11.7", "2.13.0", True, ""), "node0 has no phasescope: install there"),
        (Told("0e", "3.11.7", "2.13.0", True, ""), "node0 has another phasescope than this process"),
        (Told("0f", "3.12.7", "2.13.0", True, ""), r"another Python \(3.12, here 3.11\)"),
        (Told("0f", "3.11.7", "2.12.0", True, ""), r"another torch \(2.12.0, here 2.13.0\)"),
        (Told("0f", "3.11.7", "", True, ""), r"another torch \(none, here 2.13.0\)"),
    ]:
        with pytest.raises(PhasescopeError, match=said):
            require_same(nodes((1, 0)), [other], same)


def test_what_cannot_be_on_a_cluster() -> None:
    with pytest.raises(BadArgumentError, match="--device cuda instead of --device cuda:1"):
        Workforce(cluster="auto").require(device="cuda:1")
    with pytest.raises(BadArgumentError, match="--workers 0 is too few"):
        Workforce(0, "auto").require()
    Workforce(1000, "auto").require()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_no_cluster_at_an_address(address: str) -> None:
    said = f"no cluster to be had at {address}: .*refused.*ray start --head.* --workers"
    with pytest.raises(PhasescopeError, match=said):
        Cluster(None, address).__enter__()
