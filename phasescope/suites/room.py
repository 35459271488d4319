"""The part of the hub's cache that a capture may fill: what it fetched itself, removed when it has been visited.

Nothing is removed that lay in the cache when the capture began: only files that it wrote are on its list, and of
these only such as no other revision in the cache needs.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.suites.fetched import forget

REMEDY = "Give a higher --cache-limit, choose fewer --seeds, or do without --compare-seeds."
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}


def bytes_in(text: str | int) -> int:
    """The number of bytes that a size names.

    >>> bytes_in("50GB"), bytes_in("1.5 GiB")
    (50000000000, 1610612736)

    Raises `PhasescopeError` for anything else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?I?)B?\s*", str(text).upper())
    if found is None or found[2] not in _UNITS or float(found[1]) <= 0:
        raise BadArgumentError(f"{text!r} is no size: write 50GB, 1.5GiB or 500MB.")
    return int(float(found[1]) * _UNITS[found[2]])


def readable(size: float) -> str:
    """A number of bytes as people write it.

    >>> readable(1_234_000_000)
    '1.2 GB'
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 99.5 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


@dataclass
class _Fetched:
    """The files that were written for one revision: of each, where its bytes are and how many."""

    snapshot: Path
    ref: Path | None
    blobs: dict[str, tuple[Path, int]] = field(default_factory=dict)
    visited: bool = False


class Room:
    """At most `limit` bytes of the cache.

    Whoever fetches asks first (`take`), and is made to wait, or told that there never will be room. `visited` says
    what is no longer needed; it stays in the cache until its room is.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._fetched: dict[tuple[str, str], _Fetched] = {}
        self._changed = threading.Condition()
        self._fetcher: int | None = None
        self._urgent = False

    @property
    def used(self) -> int:
        """The bytes of what was fetched and is still there; a file that two revisions share counts once."""
        return sum({path: size for entry in self._fetched.values() for path, size in entry.blobs.values()}.values())

    def take(
        self,
        revision: tuple[str, str],
        snapshot: Path,
        ref: Path | None,
        files: Mapping[str, tuple[Path, int]],
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Make room for the files of a revision that are about to be fetched.

        revision: its repository and name. snapshot: its folder. ref: the file that names it, if it is to be written.
        files: for each name, where its bytes will be, and how many. Those that are there already cost nothing.
        check: called while it waits; raises where the waiting is to end.

        Raises `PhasescopeError` where there never will be room.
        """
        with self._changed:
            while self.used + (needed := self._missing(files)) > self.limit:
                if self._remove_one():
                    continue
                # Only the thread that fetches ahead can wait for others to be done with what they have.
                if threading.get_ident() != self._fetcher or self._urgent:
                    raise PhasescopeError(
                        f"The cache limit of {readable(self.limit)} is too small: {'@'.join(revision)} needs "
                        f"{readable(needed)} beside {readable(self.used)} that are still needed. {REMEDY}"
                    )
                self._changed.wait(0.1)
                check()
            ours = {path for entry in self._fetched.values() for path, _ in entry.blobs.values()}
            written = {name: there for name, there in files.items() if there[0] in ours or not there[0].exists()}
            entry = self._fetched.setdefault(revision, _Fetched(snapshot, ref))
            entry.visited = False
            entry.blobs |= written

    def visited(self, revisions: Iterable[tuple[str, str]] | None = None) -> None:
        """These revisions (None: all that there are) need not be kept any longer."""
        with self._changed:
            for revision in list(self._fetched) if revisions is None else revisions:
                if revision in self._fetched:
                    self._fetched[revision].visited = True
            self._changed.notify_all()

    def fetch_ahead_from_this_thread(self) -> None:
        """Let this thread wait where there is no room yet."""
        self._fetcher = threading.get_ident()

    def needed(self, revisions: Iterable[tuple[str, str]]) -> None:
        """These are needed (again): what is there of them stays. Whoever is made to wait may wait."""
        with self._changed:
            self._urgent = False
            for revision in revisions:
                if revision in self._fetched:
                    self._fetched[revision].visited = False

    def hurry(self) -> None:
        """Nothing more will be given back until what is being fetched is there."""
        self._urgent = True

    @contextmanager
    def needed_at_once(self) -> Iterator[None]:
        """While somebody waits for what is being fetched: then nothing more will be given back."""
        self._urgent = True
        try:
            yield
        finally:
            self._urgent = False

    def _missing(self, files: Mapping[str, tuple[Path, int]]) -> int:
        return sum({path: size for path, size in files.values() if not path.exists()}.values())

    def _remove_one(self) -> bool:
        """Remove the revision that was fetched first of those that were visited; whether there was one."""
        revision = next((revision for revision, entry in self._fetched.items() if entry.visited), None)
        if revision is None:
            return False
        entry = self._fetched.pop(revision)
        forget(entry.snapshot)
        kept = {path for other in self._fetched.values() for path, _ in other.blobs.values()}
        for name, (blob, _) in entry.blobs.items():
            # First the link, then the bytes, so that there is never a link to nothing.
            (entry.snapshot / name).unlink(missing_ok=True)
            if blob not in kept and not _is_linked(blob, entry.snapshot.parent):
                blob.unlink(missing_ok=True)
        with suppress(OSError):  # It may hold files that were there before.
            entry.snapshot.rmdir()
            if entry.ref is not None:
                entry.ref.unlink(missing_ok=True)
        return True


def _is_linked(blob: Path, snapshots: Path) -> bool:
    """Whether any revision in the cache has a link to these bytes."""
    return any(link.is_symlink() and link.readlink().name == blob.name for link in snapshots.glob("*/*"))
