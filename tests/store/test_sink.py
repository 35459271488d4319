"""A disk that fills, or a signal that comes, while HDF5 writes: the process lives, and nothing half is left.

HDF5 does not survive a failed write, and may end the process late: every case runs in one that must end well.
"""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasescope.store.sink import Sink, writing_hdf5

SETTING = """
import os, sys
from pathlib import Path
import numpy as np
from phasescope.errors import PhasescopeError
from phasescope.store import Entry, new_container, open_container
folder = Path(sys.argv[1])
rows = np.random.default_rng(0).normal(size=(40, 3000))
def write(path, numbers=200_000):
    with new_container(path, "shard", {"family": "toy"}) as writer:
        for group in range(12):
            writer.put(f"weights/g{group}/x", Entry(np.arange(10.0), {"axes": "k"}))
        writer.put("big", Entry(np.random.default_rng(0).normal(size=(2, numbers))))
        for first in range(0, 40, 10):
            writer.append("rows", rows[first : first + 10], first, 40, {"layer": 0})
"""

FAILS_FROM = """
import errno
real, left = os.pwrite, [0]
def pwrite(descriptor, block, place):
    left[0] -= 1
    if left[0] < 0:
        raise OSError(errno.ENOSPC, "No space left on device")
    return real(descriptor, block, place)
left[0] = 10**9
write(folder / "whole.h5")
os.pwrite = pwrite
left[0] = 10**9
write(folder / "whole.h5")
calls = 10**9 - left[0]
for number in range(0, calls, 5):
    left[0] = number
    try:
        write(folder / "full.h5")
    except PhasescopeError as error:
        assert "There is no space left" in str(error), error
    else:
        raise AssertionError(f"write {number} of {calls} failed and nobody said so")
    assert sorted(os.listdir(folder)) == ["whole.h5"], number
left[0] = 10**9
write(folder / "again.h5")
with open_container(folder / "whole.h5", "shard") as one, open_container(folder / "again.h5", "shard") as two:
    assert one.digest == two.digest == two.recompute_digest()
print("lives", calls > 50)
"""

INTERRUPTED = """
import random, signal, time
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
write(folder / "a.h5", 1000)  # loads what it needs
begun = time.perf_counter(); write(folder / "a.h5", 1000); took = time.perf_counter() - begun
sys.unraisablehook = lambda dropped: None  # Python drops an interrupt that comes while it tidies objects up
stopped, draw = 0, random.Random(0)
for _ in range(30):
    try:
        signal.setitimer(signal.ITIMER_REAL, draw.uniform(0.001, 1.5 * took))
        write(folder / "a.h5", 1000)
        signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt:
        stopped += 1
    with open_container(folder / "a.h5", "shard") as container:
        assert container.recompute_digest() == container.digest
print("lives", stopped > 5)
"""


SLOW = """
import signal, time
import h5py
import phasescope.store.sink as module
def interrupt(*_):
    raise KeyboardInterrupt
signal.signal(signal.SIGALRM, interrupt)
def slow(method):
    def slowly(*how, **more):
        time.sleep(0.3)
        return method(*how, **more)
    return slowly
class Watched(module.Sink):
    def __init__(self, *how, **more):
        sinks.append(self)
        super().__init__(*how, **more)
module.Sink, sinks = Watched, []
setattr(h5py.File, sys.argv[2], slow(getattr(h5py.File, sys.argv[2])))
try:
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    with module.writing_hdf5(folder / "a.h5") as writing:
        writing(lambda: writing.file.create_dataset("rows", data=rows) and None)
    print("not reached")
except KeyboardInterrupt:
    print("lives", [sink.problem for sink in sinks] == [None])
"""


@pytest.mark.parametrize("method", ["__init__", "close"])
def test_nobody_closes_a_file_that_hdf5_still_opens_or_closes(tmp_path: Path, method: str) -> None:
    command = [sys.executable, "-c", SETTING + SLOW, str(tmp_path), method]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "lives True\n", "")


@pytest.mark.parametrize("trouble", [FAILS_FROM, INTERRUPTED], ids=["full at any write", "interrupted at any time"])
def test_the_process_survives_and_nothing_half_is_left(tmp_path: Path, trouble: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SETTING + trouble, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "lives True\n", "")


def test_hdf5_reads_what_it_wrote_also_where_the_disk_took_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "pwrite", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    sink, rng = Sink(tmp_path / "a"), np.random.default_rng(0)
    expected = bytearray(1000)
    for _ in range(200):
        first = int(rng.integers(0, 990))
        block = rng.bytes(int(rng.integers(1, 1000 - first)))
        sink.seek(first)
        assert sink.write(memoryview(block)) == len(block)
        expected[first : first + len(block)] = block
        sink.seek(0)
        assert sink.read(1000) == bytes(expected)
    assert sink.problem is not None
    assert sink.problem.errno == 28
    sink.close()


def test_what_hdf5_itself_refuses_is_raised_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name already exists"), writing_hdf5(tmp_path / "a.h5") as writing:
        writing(lambda: writing.file.create_group("a") and None)
        writing(lambda: writing.file.create_group("a") and None)
    with h5py.File(tmp_path / "a.h5") as file:
        assert list(file) == ["a"]
