"""Parts of a file, on disk or on the hub, of which no more is read than is asked for."""

from __future__ import annotations

import io
from abc import abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from phasescope.errors import BadCheckpointError
from phasescope.suites.suite import Checkpoint
from phasescope.suites.transfer import patiently

# What is read at least of a file on the hub: a request costs more than so many bytes.
AT_ONCE = 1 << 16
# Small files are sent whole.
_WHOLE = 1 << 20


class Parts(Protocol):
    """A file of a known size, of which parts can be read."""

    size: int

    @abstractmethod
    def read(self, first: int, count: int) -> bytes:
        """Those bytes; fewer where the file ends before. Raises `BadCheckpointError` where they cannot be had."""


@dataclass(frozen=True)
class OnDisk(Parts):
    """A file in a folder."""

    path: Path
    size: int

    def read(self, first: int, count: int) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(first)
                return file.read(count)
        except OSError as error:
            raise BadCheckpointError(f"{self.path} cannot be read ({error.strerror}).") from error


@dataclass(frozen=True)
class OnHub(Parts):
    """A file of a commit on the hub."""

    checkpoint: Checkpoint
    commit: str
    path: str
    size: int

    def read(self, first: int, count: int) -> bytes:
        """As `Parts` says. Raises `PhasescopeError` where the hub cannot be reached."""
        from huggingface_hub import errors

        from phasescope.suites.hub_answers import explained

        end = min(first + count, self.size)
        if end <= first:
            return b""
        with explained(self.checkpoint.location, self.checkpoint):
            try:
                return patiently(lambda: self._ask(first, end))
            except (errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
                raise BadCheckpointError(
                    f"{self.path} of {self.checkpoint.label} is gone from the hub since it was listed, at commit "
                    f"{self.commit[:12]} of {self.checkpoint.location}."
                ) from error

    def _ask(self, first: int, end: int) -> bytes:
        from huggingface_hub import constants, get_session, hf_hub_url

        # Documented there, though not listed in its __all__.
        from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

        url = hf_hub_url(self.checkpoint.location, self.path, revision=self.commit)
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={first}-{end - 1}"}
        # Where this leads to another host, the client leaves out who the user is.
        with get_session().stream(
            "GET", url, headers=headers, follow_redirects=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
        ) as response:
            hf_raise_for_status(response)
            if response.status_code == 206:
                return bytes(response.read())
            if self.size <= _WHOLE:
                return bytes(response.read())[first:end]
        raise BadCheckpointError(f"{self.path} of {self.checkpoint.place} is not sent in parts.")


def parts_of(checkpoint: Checkpoint, commit: str, path: str, size: int) -> Parts:
    """A file of a checkpoint, as it is listed."""
    if checkpoint.is_local:
        return OnDisk(Path(checkpoint.location) / path, size)
    return OnHub(checkpoint, commit, path, size)


class PartsFile(io.RawIOBase):
    """The same as a file that can be read and moved in; what was read once is kept."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._position = parts, 0
        self._kept: list[tuple[int, bytes]] = []

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._parts.size}[whence]
        if begin + offset < 0:
            raise OSError("before the beginning of the file")  # as of a file on disk
        self._position = begin + offset
        return self._position

    def read(self, count: int = -1) -> bytes:
        first, left = self._position, max(self._parts.size - self._position, 0)
        count = left if count is None or count < 0 else min(count, left)
        for begin, kept in self._kept:
            if begin <= first and first + count <= begin + len(kept):
                found = kept[first - begin : first - begin + count]
                break
        else:
            # The end of a zip archive is read before its beginning, a few bytes at a time.
            begin = first if first + AT_ONCE <= self._parts.size else max(self._parts.size - AT_ONCE, 0)
            begin = min(begin, first)
            kept = self._parts.read(begin, max(first - begin + count, AT_ONCE))
            self._kept.append((begin, kept))
            found = kept[first - begin : first - begin + count]
        self._position += len(found)
        return found
