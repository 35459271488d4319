"""Several trainings in one process: small models side by side, each on one core."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Event

from phasescope.console import Tracker, progress
from phasescope.suites.device import computing_threads
from phasescope.suites.trainee import Trainee

# Seconds between two lines about one training: drawing them costs time too.
_TOLD = 0.2


def train_all(trainees: Sequence[Trainee]) -> None:
    """Train what is missing.

    The matrices of small models are too small to be shared by cores: threads would spend more time on waiting for one
    another than on computing. So small models are trained side by side, as many as there are cores, each on one. Larger
    ones follow, each on all cores. The threads that a model is given depend on its shape alone, and so do its bits.

    Raises the first error of any training; the others stop after the update that they are in.
    """
    if not trainees:
        return
    small = [trainee for trainee in trainees if trainee.shape.is_small and trainee.device == "cpu"]
    total = sum(trainee.missing()[-1] - trainee.first_step() for trainee in trainees)
    with progress(total, "training", "step") as tracker:
        with computing_threads(1) as cores:
            _side_by_side(small, cores, tracker)
        for trainee in trainees:
            if trainee not in small:
                _train(trainee, tracker, Event())


def _side_by_side(trainees: Iterable[Trainee], cores: int, tracker: Tracker) -> None:
    import torch

    stop = Event()
    # How many threads OpenMP uses is a property of the thread that asks: a new one has the default again.
    with ThreadPoolExecutor(cores, "training", torch.set_num_threads, (1,)) as pool:
        running = [pool.submit(_train, trainee, tracker, stop) for trainee in trainees]
        try:
            wait(running, return_when=FIRST_EXCEPTION)
        finally:  # Also when this thread is interrupted.
            stop.set()
    for one in running:
        one.result()


def _train(trainee: Trainee, tracker: Tracker, stop: Event) -> None:
    told = 0.0
    if stop.is_set():
        return
    for step, loss in trainee.run():
        tracker.advance()
        if time.monotonic() - told > _TOLD:
            tracker.doing(f"{trainee.label} step {step}, loss {loss:.2f}")
            told = time.monotonic()
        if stop.is_set():
            return
