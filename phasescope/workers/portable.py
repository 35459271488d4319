"""Work that can be done where the folder that it is for cannot be seen, and things that have to be brought for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Placed(Protocol):
    """Work for one folder, whose place or identity may be another on another machine."""

    def at(self, folder: Path) -> object:
        """The same work, for the folder as it is seen there."""


@runtime_checkable
class Portable(Placed, Protocol):
    """Work that a worker can do in an empty folder of its own: it is sent what it needs, and sends what it made."""

    def done_here(self, method: str, arguments: tuple[Any, ...]) -> Any:
        """The result of a task that is better done where the folder is; None for all others."""

    def parcel(self, method: str, arguments: tuple[Any, ...]) -> Mapping[str, bytes]:
        """Of each file that a task needs, its place in the folder and what it needs of it."""

    def received(self, name: str, chunks: Iterable[bytes]) -> None:
        """Put a file that a task made into the folder, whole or not at all."""


class Supplier(Protocol):
    """Fetches things to the machine on which it is: one for each node of a cluster."""

    def begin(self) -> None:
        """Be ready, there."""

    def fetch(self, needs: tuple[Any, ...]) -> Any:
        """Have these here until they are released, and say what a task has to know of it: its last argument.

        What is not to be had is said there too; raises where nothing else could be had either.
        """

    def release(self, needs: tuple[Any, ...]) -> None:
        """They are no longer needed."""

    def hurry(self) -> None:
        """Nobody is at work here, so nothing will be released: what has no room now never will."""

    def fetched(self) -> int:
        """The bytes that were fetched so far."""

    def close(self) -> None:
        """End what is still under way."""

    def own_folder(self) -> Path | None:
        """What others may not remove things from, if there is anything of that kind."""
