"""What the files of a run are told apart by."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from phasescope.store import Entry, RunFolder, ShardKey, digests, open_container, write_container

KEY = ShardKey("14m", 1, 0)


def write(folder: RunFolder, value: float) -> str:
    return write_container(folder.shard(KEY), "shard", {"x": Entry(np.full(4, value))}, {"step": 0})


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    write(folder, 1)
    folder.evaluations.write_bytes(b"a table")
    return folder


def test_a_copy_has_the_same_and_a_change_another(folder: RunFolder, tmp_path: Path) -> None:
    first = digests(folder, [folder.shard(KEY), folder.evaluations])
    with open_container(folder.shard(KEY), "shard") as shard:
        assert first == {
            "checkpoints/14m/seed1/step00000000.h5": shard.digest,
            "evaluations.parquet": hashlib.blake2b(b"a table", digest_size=16).hexdigest(),
        }
    copy = RunFolder(Path(shutil.copytree(folder.path, tmp_path / "copy", copy_function=shutil.copyfile)))
    assert copy.shard(KEY).stat().st_mtime_ns != folder.shard(KEY).stat().st_mtime_ns
    assert digests(copy, [copy.shard(KEY), copy.evaluations]) == first
    other = write(copy, 2)
    copy.evaluations.write_bytes(b"another table")
    changed = digests(copy, [copy.shard(KEY), copy.evaluations])
    assert changed["checkpoints/14m/seed1/step00000000.h5"] == other
    assert not set(changed.values()) & set(first.values())


def test_a_file_is_read_once(folder: RunFolder) -> None:
    first = digests(folder, [folder.evaluations])
    before = folder.evaluations.stat()
    folder.evaluations.write_bytes(b"A TABLE")
    os.utime(folder.evaluations, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests(folder, [folder.evaluations]) == first
    folder.digests.write_text("not JSON")
    assert digests(folder, [folder.evaluations]) != first


def test_a_damaged_file_and_a_place_that_cannot_be_written(folder: RunFolder) -> None:
    folder.digests.mkdir(parents=True)
    whole = digests(folder, [folder.shard(KEY)])
    folder.shard(KEY).write_bytes(folder.shard(KEY).read_bytes()[:500])
    cut = digests(folder, [folder.shard(KEY)])
    assert cut.keys() == whole.keys()
    assert cut != whole
