"""Folders with the same weights are read once; what only looks alike, or was captured before, is read itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.store import RunFolder, ShardKey, verify
from phasescope.suites import Checkpoint
from phasescope.suites.weights import model_files
from phasescope.visits.same_folders import same_folders
from tests.suites.hub_server import digest_of

ASKED = {"sequences": 4, "context": 16, "output_sequences": 2, "sites": "mlp_out", "sizes": ["tiny"], "seeds": [1]}


def key(step: int) -> ShardKey:
    return ShardKey("tiny", 1, step)


@pytest.fixture
def suite(suite_folder: Path, tmp_path: Path) -> Path:
    """Steps 4 and 16 are one."""
    copy = Path(shutil.copytree(suite_folder, tmp_path / "suite"))
    shutil.copy(weights(copy, 16), weights(copy, 4))
    return copy


def weights(suite: Path, step: int) -> Path:
    return suite / f"tiny/seed1/step{step}/model.safetensors"


def test_equal_folders_are_probed_once(suite: Path, texts_file: Path, tmp_path: Path, opened: list[Checkpoint]) -> None:
    run = ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    assert 16 not in [one.step for one in opened]
    assert 4 in [one.step for one in opened]
    assert not [finding for finding in verify(RunFolder(run.path)) if finding.problem]
    alone = ps.capture(suite, texts_file, tmp_path / "alone", steps=[16], **ASKED)
    with run.folder.open_shard(key(16)) as shard, alone.folder.open_shard(key(16)) as visited:
        assert (shard.attrs["same_as"], shard.attrs["step"]) == ("tiny/seed1/step4", 16)
        assert shard.names() == visited.names()
        for name in shard.names():
            assert np.array_equal(shard.read(name), visited.read(name)), name
    told = {one["step"]: one.get("sha256") for one in run.manifest["checkpoints"]}
    assert told[4] == told[16] == digest_of(weights(suite, 16))
    assert set(told.values()) == {None, told[4]}
    assert [one.sentence for one in run.audit()] == ["tiny: step 4 holds the same weights as step 16."]
    # Asked for again, with a shard lost: it is written down from its twin, which was made of these weights.
    run.folder.shard(key(16)).unlink()
    opened.clear()
    ps.capture(suite, texts_file, run.path, **ASKED)
    assert opened == []


def test_a_shard_of_what_lay_there_before_is_nobodys_twin(
    suite_folder: Path, suite: Path, texts_file: Path, tmp_path: Path, opened: list[Checkpoint]
) -> None:
    shutil.copy(weights(suite_folder, 4), weights(suite, 4))
    run = ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    shutil.copy(weights(suite, 16), weights(suite, 4))
    for _ in range(2):
        run.folder.shard(key(16)).unlink()
        opened.clear()
        ps.capture(suite, texts_file, run.path, **ASKED)
        assert [one.step for one in opened] == [16]
        with run.folder.open_shard(key(16)) as shard:
            assert "same_as" not in shard.attrs


def test_what_only_looks_alike(suite: Path, tmp_path: Path) -> None:
    folder, checkpoints = RunFolder(tmp_path / "none"), list(ps.open_suite(suite).select(["tiny"], [1]))
    digests, twins = same_folders(checkpoints, folder)
    assert sorted(digests) == [key(4), key(16)]
    assert {of: twin.of for of, twin in twins.items()} == {key(16): key(4)}
    # One byte that lies at none of the places that are compared first.
    content = bytearray(weights(suite, 4).read_bytes())
    content[-1] ^= 1
    weights(suite, 4).write_bytes(bytes(content))
    assert same_folders(checkpoints, folder) == ({}, {})
    # Another configuration computes something else.
    shutil.copy(weights(suite, 16), weights(suite, 4))
    config = weights(suite, 4).with_name("config.json")
    config.write_text(config.read_text().replace('"vocab_size"', '"vocab_size "'))
    assert same_folders(checkpoints, folder) == ({}, {})


def test_what_cannot_be_read_is_left_to_who_loads_it(suite: Path, tmp_path: Path) -> None:
    folder, checkpoints = RunFolder(tmp_path / "none"), list(ps.open_suite(suite).select(["tiny"], [1]))
    place = weights(suite, 4)
    for spoil in (
        lambda: place.rename(place.with_name("pytorch_model.bin.index.json")),
        lambda: shutil.rmtree(place.parent),
    ):
        spoil()
        assert same_folders(checkpoints, folder) == ({}, {})
    one = checkpoints[0]
    assert model_files(one, tmp_path) == []
