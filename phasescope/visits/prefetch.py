"""Fetching ahead: the next checkpoint is downloaded and its files checked while the current one is probed."""

from __future__ import annotations

import queue
import threading
from contextlib import nullcontext
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError, PhasescopeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phasescope.suites import Checkpoint
    from phasescope.suites.room import Room
    from phasescope.suites.transfer import Transfer

_TRIES = 3


class Prefetch:
    """Fetches checkpoints in the order in which they will be visited, at most `ahead` before their turn.

    Checkpoints on disk need none of this and pass through. Leaving the `with` block ends what is still under way.
    """

    def __init__(self, checkpoints: Sequence[Checkpoint], transfer: Transfer, ahead: int = 1) -> None:
        self._order = [checkpoint for checkpoint in checkpoints if not checkpoint.is_local]
        self._waiting = set(self._order)
        self._transfer = transfer
        self._slots = threading.Semaphore(ahead)
        self._outcomes: queue.Queue[Exception | None] = queue.Queue()
        # A daemon: a server that no longer answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._fetch_all, name="prefetch", daemon=True)

    def __enter__(self) -> Prefetch:
        if self._order:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._transfer.stop()
        self._slots.release()
        if self._order:
            self._thread.join(timeout=2)

    def is_here(self, checkpoint: Checkpoint) -> bool:
        """Whether `wait_for` would return at once."""
        return checkpoint not in self._waiting or not self._outcomes.empty()

    def wait_for(self, checkpoint: Checkpoint) -> None:
        """Return when the checkpoint's files are there. To be asked in the order given, once for each.

        Raises what fetching it raised: `BadCheckpointError`, or another `PhasescopeError` after which nothing more is
        fetched.
        """
        if checkpoint not in self._waiting:
            return
        self._waiting.remove(checkpoint)
        room = self._transfer.room
        with room.needed_at_once() if room is not None else nullcontext():
            outcome = self._outcomes.get()
        self._slots.release()
        if outcome is not None:
            raise outcome

    def _fetch_all(self) -> None:
        from phasescope.suites.load import prepare
        from phasescope.suites.transfer import StoppedError

        if self._transfer.room is not None:
            self._transfer.room.fetch_ahead_from_this_thread()
        for checkpoint in self._order:
            self._slots.acquire()
            try:
                self._transfer.check()
                prepare(checkpoint)
            except StoppedError:
                return
            except BadCheckpointError as error:
                self._outcomes.put(error)
            except Exception as error:
                self._outcomes.put(error)
                return
            else:
                self._outcomes.put(None)
            self._transfer.tell("")


def require_room(cohorts: Sequence[Sequence[Checkpoint]], comparing: bool, room: Room) -> None:
    """Raise `PhasescopeError` now where the room will never hold what is needed at once.

    cohorts: the checkpoints whose weights will be read, cohort by cohort. comparing: whether those of a cohort are
    needed together, for the KL between them. The hub is asked for the sizes of the first of each size of model.
    """
    from phasescope.suites.download import size_of
    from phasescope.suites.room import REMEDY, readable

    asked: dict[str, int] = {}
    for cohort in cohorts:
        remote = [checkpoint for checkpoint in cohort if not checkpoint.is_local]
        size = remote[0].size if remote else ""
        if not remote or asked.get(size, 0) == _TRIES:
            continue
        together = remote if comparing else remote[:1]
        try:
            whole, missing = size_of(together[0])
            if whole * len(together) > room.limit:
                missing = sum([missing, *(size_of(checkpoint)[1] for checkpoint in together[1:])])
        except BadCheckpointError:
            asked[size] = asked.get(size, 0) + 1
            continue
        asked[size] = _TRIES
        if whole * len(together) > room.limit and missing > room.limit:
            what = f"comparing {len(together)} seeds of {size}" if len(together) > 1 else f"one checkpoint of {size}"
            raise PhasescopeError(
                f"The cache limit of {readable(room.limit)} is too small: {what} needs {readable(missing)} at once. "
                f"{REMEDY}"
            )
