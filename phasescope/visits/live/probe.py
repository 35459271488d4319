"""One site, one text, live: checkpoint after checkpoint is loaded, read up to the site, compared with the last.

Nothing is written. The last step comes first, because everything is compared with it; the others from coarse to fine
along the axis of steps, so that a picture is there early.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError, PhasescopeError, nearest_number
from phasescope.hooks import Site, parts_of
from phasescope.probes import Probes
from phasescope.store import ShardKey
from phasescope.suites.transfer import StoppedError, Transfer, transferring
from phasescope.visits.checkpoint import key_of, open_checkpoint
from phasescope.visits.live.text import LiveText, live_text, reader_of
from phasescope.visits.prefetch import Prefetch

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.suites import Checkpoint, Suite


@dataclass(frozen=True, eq=False)
class LiveReading:
    """What one checkpoint showed of the text, or why it showed nothing (`reason`; everything else is then missing).

    Attributes:
        activations: float32, what the site says at every token.
        norms: the length of each, in the units of the model.
        cosines: of each with the same token's at the step `against`, from −1 to 1; NaN where one of them is zero.
        against: the last step of this size and seed that could be read.
        cka, cka_debiased: of all tokens with those at that step. Biased CKA of few tokens is high whatever they are:
            the debiased one (NaN of fewer than four tokens) is the one to believe.
        effective_rank: of the activations, columns centred, at most `largest_rank`; NaN of a single token.
        seconds: that it took, loading and, at the first, fetching included.
    """

    key: ShardKey
    reason: str = ""
    activations: Float[Tensor, "tokens d"] | None = None
    norms: Float64[Tensor, "tokens"] | None = None
    cosines: Float64[Tensor, "tokens"] | None = None
    against: int | None = None
    cka: float = math.nan
    cka_debiased: float = math.nan
    effective_rank: float = math.nan
    largest_rank: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class LiveProbe:
    """A live probe that is prepared: the texts are tokens, and the site is one that every size has.

    >>> probe = LiveProbe.prepare(suite, "Once upon a time", "L3.mlp_out")  # doctest: +SKIP
    >>> for reading in probe.readings():  # doctest: +SKIP
    ...     print(reading.key.label, reading.cka_debiased)

    Attributes:
        head: one head's part; None: the whole (of `ov_out` the sum of the heads, else all heads side by side).
        texts: what the models of each size read.
    """

    suite: Suite
    site: Site
    head: int | None
    texts: dict[str, LiveText]
    probes: Probes
    transfer: Transfer = field(default_factory=Transfer)

    @classmethod
    def prepare(
        cls, suite: Suite, text: str, site: Site | str, head: int | None = None, probes: Probes | None = None
    ) -> LiveProbe:
        """Make tokens of the text and see that the site is there; no weights are loaded.

        probes: how models are read (engine, device, dtype, modules, trust_remote_code); what else is in it is ignored.

        Raises `PhasescopeError` for a text without tokens, a site or a head that a size does not have (with the
        nearest), a suite without checkpoints or without a tokenizer that can be read.
        """
        if not len(suite):
            raise PhasescopeError(f"There are no checkpoints to probe in {suite.source}. Choose other steps.")
        place = Site.parse(site) if isinstance(site, str) else site
        how = replace(probes or Probes(), sites=(place.short,), outputs=False, gradients=None, keep_gradients=False)
        if how.remote:
            raise PhasescopeError("A live probe reads models on this machine: leave out --remote.")
        texts: dict[str, LiveText] = {}
        for size in suite.sizes:
            texts[size] = live_text(suite, size, text, how)
            _require_site(suite, size, place, head, how)
        return cls(suite, place, head, texts, how)

    @property
    def notices(self) -> list[str]:
        """What a person should know before the results come, such as that a text was cut."""
        return list(dict.fromkeys(text.notice for text in self.texts.values() if text.notice))

    def readings(self) -> Iterator[LiveReading]:
        """Every checkpoint's reading as it comes; a checkpoint that cannot be read gives one with the reason.

        The last step of every size and seed first (where it cannot be read, the one before, until one can), then
        `coarse_to_fine`, size by size and seed by seed at each level. Checkpoints on the hub are fetched one ahead.
        """
        with transferring(self.transfer), suppress(StoppedError), _small_collections():
            last: dict[tuple[str, int], _LastState] = {}
            seen: set[Checkpoint] = set()
            for (size, seed), checkpoints in self._trajectories().items():
                for checkpoint in reversed(checkpoints):
                    self.transfer.check()
                    seen.add(checkpoint)
                    reading = self._read(checkpoint, None)
                    if reading.activations is not None:
                        last[size, seed] = _LastState(reading.activations, checkpoint.step)
                        yield last[size, seed].compare(reading)
                        break
                    yield reading
            rest = [checkpoint for checkpoint in self._in_order() if checkpoint not in seen]
            with Prefetch(rest, self.transfer) as prefetch:
                for checkpoint in rest:
                    self.transfer.check()
                    reading = self._read(checkpoint, prefetch)
                    yield last[checkpoint.size, checkpoint.seed].compare(reading)

    def stop(self) -> None:
        """End `readings`, from any thread: before the next checkpoint, or at the next bytes of a download."""
        self.transfer.stop()

    def _trajectories(self) -> dict[tuple[str, int], list[Checkpoint]]:
        """For each size and seed its checkpoints in order of steps."""
        found: dict[tuple[str, int], list[Checkpoint]] = {}
        for checkpoint in self.suite:
            found.setdefault((checkpoint.size, checkpoint.seed), []).append(checkpoint)
        return found

    def _in_order(self) -> list[Checkpoint]:
        """All checkpoints from coarse to fine; at each level all sizes and seeds."""
        levels: list[tuple[int, Checkpoint]] = []
        for checkpoints in self._trajectories().values():
            by_step = {checkpoint.step: checkpoint for checkpoint in checkpoints}
            levels += [(level, by_step[step]) for level, step in enumerate(coarse_to_fine(list(by_step)))]
        return [checkpoint for _, checkpoint in sorted(levels, key=lambda entry: entry[0])]

    def _read(self, checkpoint: Checkpoint, prefetch: Prefetch | None) -> LiveReading:
        begun, key = time.perf_counter(), key_of(checkpoint)
        gc.freeze()
        try:
            if prefetch is not None:
                prefetch.wait_for(checkpoint)
            values = self._activations(checkpoint)
        except BadCheckpointError as error:
            return LiveReading(key, reason=str(error), seconds=time.perf_counter() - begun)
        finally:
            # Models hold reference cycles: without this, two of them are in memory at times.
            gc.collect()
        return LiveReading(key, activations=values, seconds=time.perf_counter() - begun)

    def _activations(self, checkpoint: Checkpoint) -> Float[Tensor, "tokens d"]:
        import torch

        text = self.texts[checkpoint.size]
        try:
            model = open_checkpoint(checkpoint, text.vocabulary, self.probes)
            tokens = torch.from_numpy(text.read)[None]
            positions = torch.arange(len(text.tokens))[None] + text.first
            shown = model.read(tokens, positions, [self.site]).activations[self.site]
        except (MemoryError, torch.OutOfMemoryError) as error:
            raise BadCheckpointError(f"There is not enough memory to read {checkpoint.label}: {error}.") from error
        values = dict(parts_of(self.site.component, shown))[self.head].float().cpu()
        if not bool(values.isfinite().all()):
            raise BadCheckpointError(f"{self.site} of {checkpoint.label} is not finite: try --dtype float32.")
        return values


class _LastState:
    """What all steps of one size and seed are compared with."""

    def __init__(self, activations: Float[Tensor, "tokens d"], step: int) -> None:
        from phasescope.measures import FinalState

        self._activations, self._step = activations, step
        self._state = FinalState(activations)

    def compare(self, reading: LiveReading) -> LiveReading:
        """The reading with everything measured; one without activations as it is."""
        from phasescope.measures import contrasts, cosine, effective_rank

        values = reading.activations
        if values is None:
            return reading
        begun = time.perf_counter()
        biased, debiased = self._state.both(values)
        centred = contrasts(values)
        measured = replace(
            reading,
            norms=values.double().norm(dim=-1),
            cosines=cosine(values, self._activations),
            against=self._step,
            cka=float(biased),
            cka_debiased=float(debiased),
            effective_rank=float(effective_rank(centred)) if len(values) > 1 else math.nan,
            largest_rank=min(centred.shape),
        )
        return replace(measured, seconds=reading.seconds + time.perf_counter() - begun)


def coarse_to_fine(steps: Sequence[int]) -> list[int]:
    """All steps once: the last, the first, then always the one in the middle of the widest gap in log(1 + step).

    >>> coarse_to_fine([0, 1, 2, 4, 8, 16, 32, 64])
    [64, 0, 8, 2, 32, 1, 4, 16]
    """
    places = {step: math.log2(1 + step) for step in sorted(set(steps))}
    order: list[int] = []
    distances = dict.fromkeys(places, math.inf)
    while distances:
        # The farthest from all that are there; of the untouched or equally far ones the last, then the earliest.
        chosen = max(distances, key=lambda step: (distances[step], step if not order else -step))
        del distances[chosen]
        order.append(chosen)
        for step in distances:
            distances[step] = min(distances[step], abs(places[step] - places[chosen]))
    return order


@contextmanager
def _small_collections() -> Iterator[None]:
    """A collection looks only at what was made since the last freeze: at one model, not at every library's objects."""
    try:
        yield
    finally:
        gc.unfreeze()


def _require_site(suite: Suite, size: str, site: Site, head: int | None, probes: Probes) -> None:
    from phasescope.hooks import get_architecture
    from phasescope.hooks.sites import OF_EXPERTS

    config = reader_of(suite, size, probes.trust_remote_code).config
    architecture = get_architecture(config, probes.modules)
    architecture.select([site.short], config.num_hidden_layers)
    if "chosen" in architecture.axes(site):
        raise PhasescopeError(f"{site} of {size} {OF_EXPERTS}")
    heads = architecture.heads(config) if "heads" in site.shape else None
    if head is None or (heads and 0 <= head < heads.count):
        return
    if heads is None:
        raise PhasescopeError(f"{site} has no heads: leave out the head.")
    raise PhasescopeError(f"{site} of {size} has no head {head}. {nearest_number(head, range(heads.count))}")
