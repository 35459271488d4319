"""What a node of a cluster fetches for its workers: within its limit, and again where it made room."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.visits.supply import Supply
from tests.suites.hub_server import Repository, bytes_on_disk, serving

NAME = "toy/tiny-seed1"


@pytest.fixture
def cache(suite_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    steps = {f"step{step}": suite_folder / f"tiny/seed1/step{step}" for step in (0, 1, 4)}
    with serving({NAME: Repository(steps)}, tmp_path / "cache", monkeypatch):
        yield tmp_path / "cache"


@pytest.fixture
def checkpoints() -> list[ps.Checkpoint]:
    return [ps.Checkpoint("tiny", "tiny", 1, step, NAME, f"step{step}") for step in (0, 1, 4)]


def test_within_a_limit_and_again(cache: Path, checkpoints: list[ps.Checkpoint], suite_folder: Path) -> None:
    one = (suite_folder / "tiny/seed1/step0/model.safetensors").stat().st_size
    supply = Supply(int(2.5 * one))
    assert supply.own_folder() is not None
    supply.begin()
    try:
        first, second, third = checkpoints
        for each in (first, second):
            known = supply.fetch((each,))
            assert not known.lost
        assert supply.fetched() == 2 * one
        waiting = threading.Thread(target=supply.fetch, args=((third,),))
        waiting.start()
        time.sleep(0.5)
        assert waiting.is_alive()  # until there is room
        supply.release((first,))
        waiting.join(20)
        assert not waiting.is_alive()
        assert bytes_on_disk(cache) <= 2.5 * one
        supply.release((second,))
        supply.release((third,))
        supply.fetch((second,))  # It is still there, and is needed again:
        supply.fetch((first,))  # so the third one makes room.
        assert supply.fetched() == 4 * one
        with pytest.raises(PhasescopeError, match=r"cache limit of .* is too small"):
            hurried(supply, third)
    finally:
        supply.close()


def hurried(supply: Supply, checkpoint: ps.Checkpoint) -> None:
    """Fetch where nothing will be released."""
    timer = threading.Timer(0.3, supply.hurry)
    timer.start()
    try:
        supply.fetch((checkpoint,))
    finally:
        timer.join()


def test_what_is_not_to_be_had(cache: Path, checkpoints: list[ps.Checkpoint]) -> None:
    gone = ps.Checkpoint("tiny", "tiny", 1, 9, NAME, "step9")
    supply = Supply(None)
    assert supply.own_folder() is None
    supply.begin()
    try:
        known = supply.fetch((checkpoints[0], gone))
    finally:
        supply.close()
    assert list(known.lost) == [gone]
    assert "step9" in known.lost[gone]
