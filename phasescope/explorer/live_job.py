"""Live probes in the background, one at a time: a new text ends the one before."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from phasescope.hooks import Site
    from phasescope.probes import Probes
    from phasescope.suites import Suite
    from phasescope.visits.live.probe import LiveProbe, LiveReading
    from phasescope.visits.live.text import Reader


# One thread at a time loads a library, and all of it. transformers and each family of models in it put another object
# in their place when they have been imported; a thread that came meanwhile is left with the one from before, which
# has nothing in it ("cannot import name 'AutoTokenizer'").
_LOADING = threading.RLock()


@dataclass(frozen=True)
class How:
    """Where checkpoints are loaded from, and how they are read."""

    suite: Callable[[], Suite]
    probes: Probes
    _made: set[type] = field(default_factory=set, compare=False)
    """Classes of configurations of which a model has been made, so that its code is loaded."""

    @classmethod
    def of(cls, manifest: dict[str, Any], suite: str | None = None, **reading: Any) -> How:
        """As a run was captured, from `suite` where its checkpoints are on the hub or have moved.

        reading: as for `phasescope.visits.recorded.probes_of`.
        """
        from phasescope.visits.recorded import probes_of, suite_of

        @functools.cache
        def opened() -> Suite:
            with _LOADING:
                return suite_of(manifest, suite)

        return cls(opened, probes_of(manifest, **reading))

    def ready(self, suite: Suite, size: str) -> Reader:
        """Load what reading a size needs beside its weights: libraries, configuration, tokenizer, classes of models.

        Raises `PhasescopeError` as `phasescope.visits.live.text.reader_of` does.
        """
        with _LOADING:
            from phasescope.hooks.lookup import without_weights
            from phasescope.suites.device import resolve_device
            from phasescope.visits import live  # noqa: F401  it is what loads the libraries
            from phasescope.visits.live.text import reader_of

            reader = reader_of(suite, size, self.probes.trust_remote_code)
            if type(reader.config) not in self._made:
                without_weights(reader.config)
                self._made.add(type(reader.config))
            resolve_device(self.probes.device)
            return reader


@dataclass(frozen=True)
class Asked:
    """One text at one site, over some checkpoints of one size."""

    text: str
    site: Site
    head: int | None
    size: str
    seeds: tuple[int, ...]
    steps: str


@dataclass
class Job:
    """One live probe: what was asked and what has come so far. Written by its thread, read by any."""

    number: int
    asked: Asked
    state: str = "waiting"
    """waiting, preparing, running, done, stopped or failed."""
    problem: str = ""
    pieces: tuple[str, ...] = ()
    notices: list[str] = field(default_factory=list)
    total: int = 0
    steps: tuple[int, ...] = ()
    readings: list[LiveReading] = field(default_factory=list)
    first_after: float | None = None
    """Seconds from the asking to the first reading."""

    @property
    def active(self) -> bool:
        return self.state in ("waiting", "preparing", "running")


class Jobs:
    """Runs live probes one after the other."""

    def __init__(self, how: How) -> None:
        self._how = how
        self._one_at_a_time = threading.Lock()
        self._changing = threading.Lock()
        self._probe: LiveProbe | None = None
        self.latest: Job | None = None

    def start(self, asked: Asked) -> Job:
        """Begin a probe; the one that is running is stopped, and its thread waited for in the new one's."""
        with self._changing:
            self._stop()
            job = Job((self.latest.number if self.latest else 0) + 1, asked)
            self.latest = job
        threading.Thread(target=self._run, args=(job,), name=f"live-{job.number}", daemon=True).start()
        return job

    def stop(self) -> None:
        """Stop what is running: before its next checkpoint, or in the middle of a download."""
        with self._changing:
            self._stop()

    def _stop(self) -> None:
        if self.latest is not None and self.latest.active:
            self.latest.state = "stopped"
        if self._probe is not None:
            self._probe.stop()

    def _run(self, job: Job) -> None:
        begun = time.perf_counter()
        with self._one_at_a_time:
            try:
                self._read(job, begun)
            except PhasescopeError as error:
                self._end(job, "failed", str(error))
            except Exception as error:  # A page that waits for ever would tell less.
                self._end(job, "failed", f"The probe broke off ({type(error).__name__}: {error}).")
                raise
            finally:
                self._probe = None

    def _read(self, job: Job, begun: float) -> None:
        if not self._advance(job, "preparing"):
            return
        asked = job.asked
        suite = self._how.suite().select(sizes=[asked.size], seeds=list(asked.seeds), steps=asked.steps)
        self._how.ready(suite, asked.size)
        from phasescope.visits.live.probe import LiveProbe

        probe = LiveProbe.prepare(suite, asked.text, asked.site, asked.head, self._how.probes)
        with self._changing:
            self._probe = probe
        job.pieces, job.notices = probe.texts[asked.size].pieces, probe.notices
        job.total, job.steps = len(suite), suite.steps()
        if not self._advance(job, "running"):
            return
        for reading in probe.readings():
            job.first_after = job.first_after or time.perf_counter() - begun
            job.readings.append(reading)
        self._end(job, "done")

    def _advance(self, job: Job, state: str) -> bool:
        """Go on to the next state, unless the job was stopped meanwhile."""
        with self._changing:
            if not job.active:
                return False
            job.state = state
            return True

    def _end(self, job: Job, state: str, problem: str = "") -> None:
        with self._changing:
            if job.active:
                job.state, job.problem = state, problem
