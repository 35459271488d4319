"""What runs on the nodes of a cluster: workers, and on each node one who fetches for them and ends them.

Plain classes: Ray makes actors of them.
"""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from phasescope.console import show_progress
from phasescope.workers.portable import Placed, Supplier
from phasescope.workers.worker import answer_to, packed

Made = list[tuple[str, int]]
_MARK = ".phasescope-node-"


class Seat:
    """A worker: does one task after another."""

    def __init__(self) -> None:
        # Told to end, it ends what it was writing as an interrupt does: no file is left half-written.
        signal.signal(signal.SIGTERM, self._end)
        show_progress("none")
        self._busy, self._sent = False, set[Path]()

    def begin(self, work: bytes, folder: str | None, away: bool, here: str) -> int:
        """Take the work; the number of the process.

        folder: the work's. away: whether it cannot be seen from here. here: where its relative paths begin.
        """
        with suppress(OSError):
            os.chdir(here)
        self._work = pickle.loads(work)
        self._own = Path(tempfile.mkdtemp(prefix="phasescope-")) if away else None
        place = self._own or (Path(folder) if folder else None)
        if place is not None and isinstance(self._work, Placed):
            self._work = self._work.at(place)
        return os.getpid()

    def do(self, method: str, arguments: tuple[Any, ...], parcel: Mapping[str, bytes]) -> tuple[bytes, Made]:
        """Do a task: what came of it, and the files that it made, with their sizes, where these are to be sent."""
        self._busy = True
        try:
            if self._own is not None:
                self._unpack(parcel)
            answer = packed(answer_to(self._work, method, arguments))
        finally:
            self._busy = False
        # What is there now stays: the next collection need only look at what the next task makes.
        gc.freeze()
        return answer, self._made()

    def read(self, name: str, first: int, size: int) -> bytes:
        """Some bytes of a file that a task made."""
        assert self._own is not None
        with (self._own / name).open("rb") as file:
            file.seek(first)
            return file.read(size)

    def close(self) -> None:
        """Leave nothing behind."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _unpack(self, parcel: Mapping[str, bytes]) -> None:
        assert self._own is not None
        for left in list(self._own.iterdir()):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        for name, content in parcel.items():
            path = self._own / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        self._sent = {self._own / name for name in parcel}

    def _made(self) -> Made:
        if self._own is None:
            return []
        files = (path for path in sorted(self._own.rglob("*")) if path.is_file() and path not in self._sent)
        return [(path.relative_to(self._own).as_posix(), path.stat().st_size) for path in files]

    def _end(self, number: int, frame: object) -> None:
        self.close()
        if self._busy:
            raise KeyboardInterrupt
        os._exit(0)


class Depot:
    """One for each node: has what tasks need brought there, and tells workers to end."""

    def __init__(self, supplier: bytes | None) -> None:
        show_progress("none")
        self._supplier: Supplier | None = None if supplier is None else pickle.loads(supplier)
        if self._supplier is not None:
            self._supplier.begin()
        self._turn, self._counting, self._released = threading.Lock(), threading.Lock(), 0

    def fetch(self, needs: tuple[Any, ...]) -> tuple[Any, int]:
        """What the supplier says of it, and how many bytes it has fetched in all; one at a time."""
        assert self._supplier is not None
        with self._turn:
            return self._supplier.fetch(needs), self._supplier.fetched()

    def release(self, needs: tuple[Any, ...]) -> None:
        """These are no longer needed here."""
        if self._supplier is not None:
            self._supplier.release(needs)
        with self._counting:
            self._released += 1

    def hurry(self, released: int) -> None:
        """Nobody works here but whoever waits for what is being fetched.

        released: how often something was given back so far. Calls may overtake each other: while one of these is still
        under way, what is being fetched may have room yet, and is not hurried.
        """
        if self._supplier is not None and self._released >= released:
            self._supplier.hurry()

    def mark(self, name: str) -> None:
        """Leave a file where no other node should see it."""
        if (folder := self._own_folder()) is not None:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{_MARK}{name}").touch()

    def seen(self) -> set[str]:
        """The names of those whose marks are seen here."""
        folder = self._own_folder()
        return set() if folder is None else {path.name.removeprefix(_MARK) for path in folder.glob(f"{_MARK}*")}

    def unmark(self, name: str) -> None:
        """Take it away."""
        if (folder := self._own_folder()) is not None:
            (folder / f"{_MARK}{name}").unlink(missing_ok=True)

    def _own_folder(self) -> Path | None:
        return None if self._supplier is None else self._supplier.own_folder()

    def end(self, processes: Iterable[int]) -> None:
        """Tell these to end, between two lines of Python; nothing more is fetched."""
        if self._supplier is not None:
            self._supplier.close()
        for process in processes:
            with suppress(OSError):
                os.kill(process, signal.SIGTERM)
