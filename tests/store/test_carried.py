"""Files of a run on their way: what is sent of them, and how they arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey
from phasescope.store.carried import parcel_of, part_of, receive

KEY = ShardKey("tiny", 1, 4)


def test_a_part_is_the_whole_to_whoever_reads_it(captured: Path, tmp_path: Path) -> None:
    whole, part = RunFolder(captured), RunFolder(tmp_path / "part")
    path = whole.shard(KEY)
    sent = parcel_of(whole, [path, whole.shard(ShardKey("tiny", 9, 4))], ("outputs", "unembedding"))
    assert list(sent) == [path.relative_to(captured).as_posix()]
    part.shard(KEY).parent.mkdir(parents=True)
    part.shard(KEY).write_bytes(next(iter(sent.values())))
    with whole.open_shard(KEY) as one, part.open_shard(KEY) as other:
        assert other.digest == one.digest
        assert other.attrs == one.attrs
        assert set(other.names()) == {name for name in one.names() if name.startswith("outputs/")} != set(one.names())
        for name in other.names():
            assert np.array_equal(one.read(name), other.read(name), equal_nan=True)
            assert one.attrs_of(name) == other.attrs_of(name)
    assert len(part_of(path)) < part.shard(KEY).stat().st_size < path.stat().st_size


def test_a_file_arrives_whole_or_not_at_all(captured: Path, tmp_path: Path) -> None:
    sent = RunFolder(captured).shard(KEY).read_bytes()
    to = tmp_path / "run" / "there.h5"
    receive(to, (sent[first : first + 1000] for first in range(0, len(sent), 1000)))
    assert to.read_bytes() == sent

    def broken() -> Iterator[bytes]:
        yield b"half"
        raise ConnectionError

    with pytest.raises((ConnectionError, PhasescopeError)):
        receive(tmp_path / "run" / "half.h5", broken())
    assert [path.name for path in to.parent.iterdir()] == ["there.h5"]


def test_a_disk_that_is_full_is_one_sentence(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("needs /dev/full")

    def chunks() -> Iterator[bytes]:
        with full.open("wb", buffering=0) as file:
            file.write(b"x")
        yield b""

    with pytest.raises(PhasescopeError, match=r"no space left to write .*there\.h5\. Free some and run the same"):
        receive(tmp_path / "there.h5", chunks())
