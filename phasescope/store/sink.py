"""Where HDF5 writes: a file that never tells HDF5 of a failure, because HDF5 does not survive one.

After a write that failed (a disk that fills, a Python exception in a file object) HDF5 cannot close the file: the
process ends in a segmentation fault, then or later. So HDF5 writes to a `Sink`, which takes everything; what went wrong
is kept, and raised where it can do no harm, in the code that asked for the write.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import h5py

T = TypeVar("T")


class Sink:
    """A file that HDF5 writes and reads back. None of its methods raises.

    From the first write that fails on, everything written is kept in memory, so that HDF5 reads what it wrote; that is
    not much, for whoever asked for the write is told when it is done.

    Attributes:
        problem: what went wrong first, if anything did.
    """

    def __init__(self, path: Path, *, new: bool = True) -> None:
        self._descriptor = os.open(path, os.O_RDWR | (os.O_CREAT | os.O_TRUNC if new else 0), 0o666)
        self._place, self._end = 0, os.fstat(self._descriptor).st_size
        self._kept: list[tuple[int, bytes]] = []
        self.problem: OSError | None = None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._place = offset + (0, self._place, self._end)[whence]
        return self._place

    def tell(self) -> int:
        return self._place

    def write(self, block: memoryview) -> int:
        begin, left = self._place, memoryview(block).cast("B")
        size = len(left)
        try:
            while left and self.problem is None:
                written = os.pwrite(self._descriptor, left, begin + size - len(left))
                left = left[written:]
        except OSError as error:
            self.problem = error
        if left:
            self._kept.append((begin + size - len(left), bytes(left)))
        self._place += size
        self._end = max(self._end, self._place)
        return size

    def readinto(self, block: memoryview) -> int:
        target, begin = memoryview(block).cast("B"), self._place
        done = 0
        try:
            while done < len(target) and (read := os.pread(self._descriptor, len(target) - done, begin + done)):
                target[done : done + len(read)] = read
                done += len(read)
        except OSError as error:
            self.problem = self.problem or error
        target[done:] = bytes(len(target) - done)
        for place, kept in self._kept:
            first, last = max(place, begin), min(place + len(kept), begin + len(target))
            if first < last:
                target[first - begin : last - begin] = kept[first - place : last - place]
        self._place += len(target)
        return len(target)

    def read(self, size: int) -> bytes:
        block = bytearray(size)
        self.readinto(memoryview(block))
        return bytes(block)

    def truncate(self, size: int) -> int:
        self._end = size
        try:
            os.ftruncate(self._descriptor, size)
        except OSError as error:
            self.problem = self.problem or error
        return size

    def flush(self) -> None:
        """Nothing waits to be written."""

    def close(self) -> None:
        try:
            os.close(self._descriptor)
        except OSError as error:  # A network's file system may tell only now.
            self.problem = self.problem or error


class Writing:
    """An HDF5 file that is being made; `writing(work)` has HDF5 do some of it.

    HDF5 works in a thread of its own: in the main thread a signal (Ctrl-C) may raise in any line of Python, also in a
    `Sink` that HDF5 has just called.
    """

    def __init__(self, path: Path, thread: ThreadPoolExecutor, *, new: bool = True) -> None:
        self._thread = thread
        opening = thread.submit(self._open, path, new)
        try:
            opening.result()
        except BaseException:
            thread.submit(self._close)  # after it was opened, where only the waiting for that was stopped
            raise

    def __call__(self, work: Callable[[], T]) -> T:
        """Wait for HDF5 to do some work; what went wrong with the disk meanwhile is raised."""
        try:
            return self._thread.submit(work).result()
        finally:
            self.check()

    def check(self) -> None:
        """Raise what went wrong with the disk, if anything did: OSError."""
        if self._sink.problem is not None:
            raise self._sink.problem

    @property
    def file(self) -> h5py.File:
        """Only for work that is done in this file's own thread."""
        return self._file

    def close(self) -> None:
        self._thread.submit(self._close).result()

    def _open(self, path: Path, new: bool) -> None:
        self._sink = Sink(path, new=new)
        self._file = h5py.File(self._sink, "w" if new else "r+", libver=("v110", "v110"))
        self.check()

    def _close(self) -> None:
        """In the file's own thread: HDF5 must never find its file closed under it."""
        try:
            if hasattr(self, "_file"):
                self._file.close()
        finally:
            if hasattr(self, "_sink"):
                self._sink.close()


@contextmanager
def writing_hdf5(path: Path, *, new: bool = True) -> Iterator[Writing]:
    """An HDF5 file, which is closed and complete when the block has ended well; else something raises.

    new: it is begun here. Else one that is there is gone on with.

    Raises `OSError` where the disk does not take what is written.
    """
    with ThreadPoolExecutor(1, "hdf5") as thread:
        writing = Writing(path, thread, new=new)
        try:
            yield writing
        finally:
            writing.close()
        writing.check()
