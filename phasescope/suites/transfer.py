"""How things are fetched from the hub during a capture: what is told, how it is stopped, what is asked again.

What the hub's client already asks again by itself (metadata of single files, lists in pages) is left to it. This asks
again where the client does not: which commit a revision is, which revisions there are, and the bytes of large files.
"""

from __future__ import annotations

import logging
import random
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from phasescope.suites.room import Room

Answer = TypeVar("Answer")

PATIENCE = (1.0, 3.0, 9.0, 27.0)
"""Seconds between one try and the next; then it is given up."""
_LONGEST_WAIT = 600.0
_TALKATIVE = ("huggingface_hub.utils._http", "huggingface_hub.file_download")
# By name: the client has used three HTTP libraries so far, which agree in these names.
_PASSING = {"TimeoutException", "RemoteProtocolError", "ReadError"}


class StoppedError(Exception):
    """The capture ended while something was still being fetched for it."""


@dataclass
class Transfer:
    """The fetching of one capture.

    tell: shows a person what is going on.
    room: how much may be kept in the cache; None: everything.
    bytes: of large files, how much has come so far.
    """

    tell: Callable[[str], None] = lambda _: None
    room: Room | None = None
    bytes: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def stop(self) -> None:
        """End every wait and every download, at its next few bytes, with `StoppedError`."""
        self._stop.set()

    def check(self) -> None:
        if self._stop.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        self._stop.wait(seconds)
        self.check()


_current = Transfer()


def current() -> Transfer:
    """The fetching that is going on: that of the capture, or one that tells nothing and keeps everything."""
    return _current


@contextmanager
def transferring(transfer: Transfer) -> Iterator[Transfer]:
    """Make `transfer` the one that downloads answer to, from any thread; stop it at the end."""
    global _current
    before, _current = _current, transfer
    for name in _TALKATIVE:
        logging.getLogger(name).addFilter(_tell_instead)
    try:
        yield transfer
    finally:
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(_tell_instead)
        transfer.stop()
        _current = before


def _tell_instead(record: logging.LogRecord) -> bool:
    """Show what the client says of its own waits where the rest is shown, not across it."""
    current().tell(record.getMessage())
    return False


def patiently(ask: Callable[[], Answer], reached: Callable[[], int] = lambda: 0) -> Answer:
    """The answer; asked for again where the hub is busy (408, 429, 5xx) or the line is slow or broke off.

    The hub's Retry-After is honoured; without one the waits grow, with some chance in them so that many who wait do
    not come back at once. `reached` says how far a download has come: the tries count anew whenever that has grown.
    """
    tries, so_far = 0, reached()
    while True:
        try:
            return ask()
        except Exception as error:
            reason, wait = _passing(error)
            if reached() > so_far:
                tries, so_far = 0, reached()
            if not reason or tries == len(PATIENCE):
                raise
            if wait is None:
                wait = PATIENCE[tries] * random.uniform(0.75, 1.25)
        tries += 1
        current().tell(f"{reason}: trying again in {wait:.0f} s")
        current().wait(wait)


def _passing(error: BaseException) -> tuple[str, float | None]:
    """Why something is worth another try, and the seconds that the hub asks for; no reason where it is not."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    # The client hides an answer such as 500 behind "cannot be resolved", or, once it has asked again often enough
    # itself, behind "not in the cache".
    hidden = None if isinstance(error, LocalEntryNotFoundError) else error.__cause__
    for candidate in (error, hidden):
        if isinstance(candidate, HfHubHTTPError):
            status = candidate.response.status_code
            busy = status in (408, 429) or status >= 500
            return (f"the hub answers {status}" if busy else ""), _asked_for(candidate.response.headers)
        if candidate is not None and _PASSING & {base.__name__ for base in type(candidate).__mro__}:
            return "the connection to the hub is slow or broke off", None
    return "", None


def _asked_for(headers: object) -> float | None:
    """The seconds to wait that an answer names, as seconds, as a date, or as the hub's own rate limit."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    get: Callable[[str, str], str] = headers.get  # type: ignore[attr-defined]
    after = get("Retry-After", "").strip()
    limit = re.search(r";\s*t=(\d+)", get("RateLimit", ""))
    if after.isdecimal():
        seconds = float(after)
    elif after:
        try:
            seconds = (parsedate_to_datetime(after) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    elif limit:
        seconds = float(limit[1])
    else:
        return None
    return min(max(seconds, 0.0), _LONGEST_WAIT)
