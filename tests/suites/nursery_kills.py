"""Trains one small suite while killing it again and again; run as a program by test_nursery_kills.py.

    python -m tests.suites.nursery_kills FOLDER

Each attempt is a process of its own, forked here so that libraries are imported once, and ends by a real SIGKILL:
either at the n-th thing that it does to the file system below FOLDER, or after a random time.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import transformers.models.gpt_neox.modeling_gpt_neox  # noqa: F401  (so that no fork imports it)

from phasescope.suites import nursery  # noqa: F401  (likewise)
from tests.suites.nursery_samples import train_sample

EVENTS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.copyfile", "shutil.rmtree"}


def forked(out: Path, dies_at_event: int | None = None) -> int:
    """A process that trains, and dies at its n-th event below `out` if told so."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        if dies_at_event is not None:
            _die_at(dies_at_event, str(out))
        train_sample(out, state_seconds=0.0)
        status = 0
    finally:
        os._exit(status)


def _die_at(number: int, below: str) -> None:
    seen = 0

    def count(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in EVENTS and any(isinstance(a, str | Path) and str(a).startswith(below) for a in arguments):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def status_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: Path) -> None:
    started = time.monotonic()
    assert status_of(forked(folder / "undisturbed")) == 0
    undisturbed = time.monotonic() - started

    killed = folder / "killed"
    dice = random.Random(0)
    deaths = 0
    for attempt in range(1000):
        # What is there already is not done again: so the same few events reach further each time.
        if attempt % 3:
            child = forked(killed, dies_at_event=dice.randint(1, 60))
        else:
            child = forked(killed)
            time.sleep(dice.uniform(0, 0.3) * undisturbed)
            os.kill(child, signal.SIGKILL)
        status = status_of(child)
        if status == 0:
            break
        assert status == -signal.SIGKILL, f"an attempt failed by itself with status {status}"
        deaths += 1
    print(deaths)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
