"""What this process has already fetched from the hub."""

from __future__ import annotations

from pathlib import Path

fetched: dict[tuple[str, str, str], tuple[Path, set[str]]] = {}
"""What this process has already fetched, as (cache, repository, revision): the folder, and the patterns of its files.

A checkpoint is opened several times (config, weights, one tensor), and each question to the hub costs a round trip.
"""


def forget(folder: Path) -> None:
    """This folder no longer holds what was fetched into it."""
    for key, (there, _) in list(fetched.items()):
        if there == folder:
            del fetched[key]
