"""What live probes found, as they come, and as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import progress
from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from pandas import DataFrame

    from phasescope.probes import Probes
    from phasescope.suites import Suite
    from phasescope.visits.live.probe import LiveProbe, LiveReading


class LiveResults:
    """The readings of a live probe. Iterating gives those that are there, then reads on; a notebook shows them all.

    >>> results = ps.probe_live("runs/nursery", "Once upon a time", "L1.mlp_out", size="400k")  # doctest: +SKIP
    >>> for reading in results:  # doctest: +SKIP
    ...     print(reading.key.step, reading.cka_debiased)
    >>> results.table()  # doctest: +SKIP

    Attributes:
        readings: those that have come, in the order in which they did: the last step first, then coarse to fine.
    """

    def __init__(self, probe: LiveProbe) -> None:
        self.probe = probe
        self.readings: list[LiveReading] = []
        self._coming = probe.readings()

    def __iter__(self) -> Iterator[LiveReading]:
        seen = 0
        while True:
            while seen < len(self.readings):
                seen += 1
                yield self.readings[seen - 1]
            reading = next(self._coming, None)
            if reading is None:
                return
            self.readings.append(reading)

    def __len__(self) -> int:
        """How many checkpoints there are, read or not."""
        return len(self.probe.suite)

    def __repr__(self) -> str:
        return f"LiveResults({self.title}: {len(self.readings)} of {len(self)} checkpoints read)"

    @property
    def title(self) -> str:
        """What is probed: `L3.mlp_out of 14m`."""
        head = "" if self.probe.head is None else f" head {self.probe.head}"
        return f"{self.probe.site.short}{head} of {', '.join(self.probe.suite.sizes)}"

    def finish(self) -> LiveResults:
        """Read what has not been read, with a progress display."""
        if len(self.readings) == len(self):
            return self
        with progress(len(self), self.title, "checkpoints") as tracker:
            for reading in self:
                tracker.doing(reading.key.label)
                tracker.advance(failed=bool(reading.reason))
        return self

    def table(self) -> DataFrame:
        """One row per checkpoint, by size, seed and step; what has not been read is read first.

        Columns: size, seed, step, against, cka, cka_debiased, cosine and norm (means over tokens), effective_rank,
        largest_rank, tokens, seconds, reason.
        """
        import pandas as pd

        rows = [record_of(reading) for reading in self.finish().readings]
        table = pd.DataFrame([{name: row[name] for name in row if name not in ("cosines", "norms")} for row in rows])
        return table.sort_values(["size", "seed", "step"], ignore_index=True).astype({"against": "Int64"})

    def tokens(self) -> DataFrame:
        """One row per checkpoint and token, by size, seed, step and position; what has not been read is read first.

        Columns: size, seed, step, position, token (its text), cosine (to the state `against`), norm.
        """
        import pandas as pd

        rows = [
            (*_key(reading), position, piece, float(cosine), float(norm))
            for reading in self.finish().readings
            if reading.cosines is not None and reading.norms is not None
            for position, (piece, cosine, norm) in enumerate(
                zip(self.probe.texts[reading.key.size].pieces, reading.cosines, reading.norms, strict=True)
            )
        ]
        columns = ["size", "seed", "step", "position", "token", "cosine", "norm"]
        return pd.DataFrame(rows, columns=columns).sort_values(columns[:4], ignore_index=True)

    def as_record(self) -> dict[str, Any]:
        """What has come so far, as plain values."""
        return {
            "site": self.probe.site.name,
            "head": self.probe.head,
            "tokens": {size: list(text.pieces) for size, text in self.probe.texts.items()},
            "notices": self.probe.notices,
            "checkpoints": len(self),
            "readings": [record_of(reading) for reading in sorted(self.readings, key=_key)],
        }

    def _repr_html_(self) -> str:
        """For notebooks: what has not been read is read first."""
        from phasescope.reports.notebook import live_html

        self.finish()
        pieces = next(iter(self.probe.texts.values())).pieces
        return live_html(self.title, [record_of(reading) for reading in self.readings], len(self), pieces)


def probe_live(
    suite: str | Path | Suite,
    text: str,
    site: str,
    *,
    size: str | None = None,
    seeds: Sequence[int] | None = None,
    steps: str | Sequence[int] = "all",
    head: int | None = None,
    **reading: Any,
) -> LiveResults:
    """Read a text with checkpoint after checkpoint, up to one site; nothing is written.

    suite: as in `phasescope.open_suite`.
    text: what the models read.
    site: `L3.mlp_out`, or TransformerLens' name.
    size: may be left out where there is only one.
    seeds: None: the first.
    steps: as in `phasescope.capture`.
    head: one head of a site that has heads; None: all of it.
    reading: `engine`, `device`, `dtype`, `modules`, `trust_remote_code`.

    Raises `PhasescopeError` where suite, text or site do not fit. A checkpoint that cannot be read gives a reading
    that says why.
    """
    from phasescope.probes import Probes
    from phasescope.suites import open_suite

    return _results(open_suite(suite), text, site, size, seeds, steps, head, Probes(**reading))


def probe_live_of(
    manifest: dict[str, Any],
    text: str,
    site: str,
    *,
    suite: str | None = None,
    size: str | None = None,
    seeds: Sequence[int] | None = None,
    steps: str | Sequence[int] = "all",
    head: int | None = None,
    **reading: Any,
) -> LiveResults:
    """As `probe_live`, with the checkpoints of a run's manifest, read as they were for the run.

    suite: where they are, if they are on the hub or have moved. reading: engine, device, trust_remote_code.

    Raises `PhasescopeError` as `probe_live` does, and where the checkpoints are gone or were never saved.
    """
    from phasescope.visits.recorded import probes_of, suite_of

    probes = probes_of(manifest, **reading)
    return _results(suite_of(manifest, suite), text, site, size, seeds, steps, head, probes)


def _results(
    suite: Suite,
    text: str,
    site: str,
    size: str | None,
    seeds: Sequence[int] | None,
    steps: str | Sequence[int],
    head: int | None,
    probes: Probes,
) -> LiveResults:
    from phasescope.visits.live.probe import LiveProbe

    chosen = suite.select(sizes=[_one_size(suite, size)])
    chosen = chosen.select(seeds=list(seeds or chosen.seeds(chosen.sizes[0])[:1]), steps=steps)
    return LiveResults(LiveProbe.prepare(chosen, text, site, head, probes))


def _one_size(suite: Suite, size: str | None) -> str:
    """The size of that name, or the only one there is. Raises `PhasescopeError` where several are there."""
    if size is not None:
        return size
    if len(suite.sizes) == 1:
        return suite.sizes[0]
    raise PhasescopeError(f"Several sizes are in this suite: name one. {did_you_mean('', suite.sizes)}")


def record_of(reading: LiveReading) -> dict[str, Any]:
    """A reading as plain values; None where there is none. cosine and norm are means over tokens."""
    size, seed, step = _key(reading)
    cosines, norms = (_known(values) for values in (reading.cosines, reading.norms))
    return {
        "size": size,
        "seed": seed,
        "step": step,
        "against": reading.against,
        "cka": _number(reading.cka),
        "cka_debiased": _number(reading.cka_debiased),
        "cosine": _mean(cosines),
        "norm": _mean(norms),
        "effective_rank": _number(reading.effective_rank),
        "largest_rank": reading.largest_rank,
        "tokens": len(norms),
        "cosines": cosines,
        "norms": norms,
        "seconds": round(reading.seconds, 4),
        "reason": reading.reason,
    }


def _key(reading: LiveReading) -> tuple[str, int, int]:
    return reading.key.size, reading.key.seed, reading.key.step


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(float(value)) else None


def _known(values: Any) -> list[float | None]:
    return [] if values is None else [_number(value) for value in values]


def _mean(values: Sequence[float | None]) -> float | None:
    """Of the tokens that have one."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
