"""How long a training took, and how much of that its probe."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """The time from the first step to the latest, and how much of it the probe took."""

    def __init__(self) -> None:
        self.probing = 0.0
        self._first: float | None = None
        self._latest = 0.0
        self._probed_before_latest = 0.0

    def mark(self) -> None:
        """Now is the latest step."""
        self._latest = time.perf_counter()
        self._first = self._latest if self._first is None else self._first
        self._probed_before_latest = self.probing

    @contextmanager
    def running(self) -> Iterator[None]:
        """What is done in here is the probe's."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.probing += time.perf_counter() - begun

    @property
    def training(self) -> float:
        """Seconds from the first step to the latest that were not the probe's."""
        return 0.0 if self._first is None else self._latest - self._first - self._probed_before_latest

    @property
    def overhead(self) -> float:
        return self.probing / self.training if self.training > 0 else math.nan

    def as_record(self, earlier: dict[str, Any]) -> dict[str, float | None]:
        """As plain values, with those of the same training from before it was resumed."""
        training = self.training + earlier.get("seconds_training", 0.0)
        probing = self.probing + earlier.get("seconds_probing", 0.0)
        return {
            "seconds_training": round(training, 3),
            "seconds_probing": round(probing, 3),
            "overhead": round(probing / training, 5) if training > 0 else None,
        }
