"""Fetching checkpoints on a node of a cluster, into its own cache of the hub, for the workers that are there."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError
from phasescope.visits.work import Known, fetched_of

if TYPE_CHECKING:
    from phasescope.suites import Checkpoint


@dataclass
class Supply:
    """Has checkpoints fetched; keeps at most `limit` bytes of what it fetched (None: all of it)."""

    limit: int | None
    _used: Counter[Checkpoint] = field(default_factory=Counter)

    def begin(self) -> None:
        """On the node: from now on this is what fetching there answers to, until the process ends."""
        from phasescope.suites.room import Room
        from phasescope.suites.transfer import Transfer, transferring

        self._room = None if self.limit is None else Room(self.limit)
        self._transfer = Transfer(room=self._room)
        self._lock, self._stack = threading.Lock(), ExitStack()
        self._stack.enter_context(transferring(self._transfer))

    def fetch(self, needs: tuple[Checkpoint, ...]) -> Known:
        """Have these here until they are released. To be called by one thread at a time."""
        from phasescope.suites.load import prepare
        from phasescope.visits.schedule import places_of

        with self._lock:
            self._used.update(needs)
        if self._room is not None:
            self._room.fetch_ahead_from_this_thread()
            self._room.needed(places_of(needs))
        lost = {}
        for one in needs:
            try:
                prepare(one)
            except BadCheckpointError as error:
                lost[one] = str(error)
        return Known(fetched_of(needs), lost)

    def release(self, needs: tuple[Checkpoint, ...]) -> None:
        """They are no longer needed: others may have their room."""
        from phasescope.visits.schedule import release

        with self._lock:
            self._used.subtract(needs)
            release([one for one in needs if self._used[one] <= 0], self._room)

    def hurry(self) -> None:
        """Nobody is at work here: what has no room now never will."""
        if self._room is not None:
            self._room.hurry()

    def fetched(self) -> int:
        """The bytes of weights that were fetched so far."""
        return self._transfer.bytes

    def close(self) -> None:
        """End what is still under way."""
        self._stack.close()

    def own_folder(self) -> Path | None:
        """The hub's cache, where it is kept within a limit: whoever else did so would remove what is read here."""
        from huggingface_hub import constants

        return None if self.limit is None else Path(constants.HF_HUB_CACHE)
