"""Capturing while a model trains, so that no checkpoint need ever be saved."""

from __future__ import annotations

import re
import warnings
import weakref
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from transformers import TrainerCallback

from phasescope.console import counted, stderr
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.probes import Probes
from phasescope.store import RunFolder
from phasescope.suites.selection import StepSelection
from phasescope.visits.request import Request
from phasescope.visits.training.clock import Clock
from phasescope.visits.training.model import left_as_it_was, require_own_gradients, unwrapped
from phasescope.visits.training.run import LiveRun

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PreTrainedTokenizerFast

# Fewer than a capture takes: training waits meanwhile.
_OUTPUT_SEQUENCES, _POSITIONS = 8, 16


class TrainingProbe(TrainerCallback):  # type: ignore[misc]  # transformers' types are not read
    """Captures a model at some of its steps while it trains, into an ordinary run.

    With the Trainer of `transformers`:

    >>> probe = ps.TrainingProbe("runs/live", texts="eval.jsonl", seed=1)  # doctest: +SKIP
    >>> Trainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=[probe])  # doctest: +SKIP

    In a loop of one's own; n is the number of updates so far, 0 before the first:

    >>> with ps.TrainingProbe("runs/live", texts="eval.jsonl", tokenizer=tokenizer) as probe:  # doctest: +SKIP
    ...     probe.step(model, 0)
    ...     for n, batch in enumerate(batches, start=1):
    ...         update(model, batch)
    ...         probe.step(model, n)

    The training is the same with the probe as without, bit for bit, and what is captured is what a capture of
    checkpoints saved at these steps would hold. Trainings of several sizes and seeds may write into one run, one after
    the other or at once; a training that is resumed captures only what is missing. Of several processes that train one
    model together, the first one captures.

    What makes no sense is refused when training begins. A capture that fails later (a full disk, no memory, a model
    that diverged) warns, is kept in run.json, and training goes on: the next step is tried again.

    Args:
        out: the run's folder.
        texts: as for `phasescope.capture`.
        tokenizer: a fast one; with the Trainer, its `processing_class` unless given.
        size: what the run calls the model; its number of parameters (`1.3m`) unless given.
        seed: of this training; 0 unless given.
        family: what the run calls all models; the architecture unless given.
        steps: as `phasescope.suites.selection` reads them: `log` (0, 1, 2, 4, 8, …), `every:1000`, `log,every:1000`,
            step numbers. The last step is always captured.
        strict: let whatever goes wrong in the probe end the training.
        sequences, context, output_sequences, positions, sampling_seed, bos: of the inputs, as for `phasescope.capture`;
            unless said, 8 sequences feed the outputs and 16 positions of each are sampled, or as many as there are.
        compare_seeds: keep in every shard what the KL between seeds needs: final hidden states and the unembedding
            matrix, which is d_model × vocabulary × 4 bytes.
        probes: see `phasescope.probes.Probes`: `sites=("attn_out", "mlp_out")`, `outputs=True`, `keep_weights=False`, …

    Raises `PhasescopeError` for options that make no sense.
    """

    def __init__(
        self,
        out: str | Path,
        texts: str | Path = "docs",
        tokenizer: PreTrainedTokenizerFast | None = None,
        *,
        size: str | None = None,
        seed: int = 0,
        family: str | None = None,
        steps: str | int | Sequence[int | str] = "log",
        strict: bool = False,
        sequences: int = 16,
        context: int | None = None,
        output_sequences: int | None = None,
        positions: str | int | None = None,
        sampling_seed: int = 0,
        bos: str = "auto",
        compare_seeds: bool = False,
        **probes: Any,
    ) -> None:
        _check(size, seed, probes)
        self._folder = RunFolder(Path(out))
        self._tokenizer = tokenizer
        self._family, self._size, self._seed = family, size, seed
        self._selection = StepSelection.parse(steps)
        self._strict = strict
        self._request = Request(
            texts=str(texts),
            sequences=sequences,
            context=context,
            output_sequences=min(_OUTPUT_SEQUENCES, sequences) if output_sequences is None else output_sequences,
            positions=min(_POSITIONS, context or _POSITIONS) if positions is None else positions,
            seed=sampling_seed,
            bos=bos,
            probes=Probes.of(compare_seeds=compare_seeds, **probes),
        )
        self._run: LiveRun | None = None
        self._last: tuple[weakref.ref[Module], int] | None = None
        self._told: set[str] = set()
        self._clock = Clock()

    @property
    def seconds(self) -> float:
        """Spent in the probe so far."""
        return self._clock.probing

    @property
    def overhead(self) -> float:
        """Seconds spent in the probe for each second of training without it; NaN before there was any."""
        return self._clock.overhead

    def step(self, model: Module, n: int) -> None:
        """Say that `model` has had `n` updates. It is captured now if `n` is one of the steps.

        Raises `PhasescopeError` the first time, if run, texts, tokenizer and model do not fit together.
        """
        if not _is_first_process():
            return
        self._clock.mark()
        if self._run is None:
            with self._clock.running():
                self._run = self._begin(model)
        self._last = weakref.ref(model), n
        if self._selection.wants(n):
            self._capture(self._run, model, n)

    def close(self, model: Module | None = None) -> None:
        """Capture the last step if that is not yet done, compare seeds if asked, write the index, tell the overhead.

        model: as it was at the last `step`; not needed as long as that one still exists.
        """
        if self._run is None or self._last is None:
            return
        self._clock.mark()
        kept, n = self._last
        model = kept() if model is None else model
        if model is not None:
            self._capture(self._run, model, n)
        self._finish(self._run)
        self._last = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        elif self._run is not None:
            # Between two steps a model is in no state that has a number: what is there already is all there is.
            self._finish(self._run)

    def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """For the Trainer: begin; capture step 0."""
        self._tokenizer = self._tokenizer or more.get("processing_class")
        if state.is_world_process_zero:
            self.step(more["model"], state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """For the Trainer: after every update."""
        if state.is_world_process_zero:
            self.step(more["model"], state.global_step)

    def on_train_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """For the Trainer: capture the last step, and close."""
        if state.is_world_process_zero:
            self.close(more["model"])

    def _begin(self, model: Module) -> LiveRun:
        if self._tokenizer is None:
            raise PhasescopeError(
                "A TrainingProbe needs the tokenizer that the model is trained with: TrainingProbe(…, tokenizer=…), or "
                "the Trainer's processing_class."
            )
        if self._request.probes.gradients:
            require_own_gradients(model)
        return LiveRun.begin(
            self._folder,
            self._request,
            unwrapped(model),
            self._tokenizer,
            family=self._family,
            size=self._size,
            seed=self._seed,
        )

    def _capture(self, run: LiveRun, model: Module, n: int) -> None:
        if run.has(n):
            return
        _wait_for_device(model)
        with self._clock.running():
            try:
                bare = unwrapped(model)
                with left_as_it_was(bare):
                    run.record(bare, n)
            except Exception as error:
                self._survive(error, run, n)

    def _survive(self, error: Exception, run: LiveRun, n: int) -> None:
        """A capture that failed must not end days of training: keep the reason, and say it once."""
        if self._strict:
            raise error
        reason = _in_words(error)
        try:
            run.record_failure(n, reason)
        except Exception as second:  # A disk that is full has no room for a reason either.
            reason += f" {run.folder.manifest} could not be told so: {_in_words(second)}"
        self._warn(f"{run.key(n).label} was not captured, and training goes on: {reason}")

    def _finish(self, run: LiveRun) -> None:
        try:
            run.finish(self._clock.as_record(run.earlier))
        except Exception as error:
            if self._strict:
                raise
            self._warn(f"The run {run.folder.path} could not be finished: {_in_words(error)}")
        shards = sum((key.size, key.seed) == (run.size, run.seed) for key in run.folder.shards())
        took = f", {self.overhead:.1%} on top of the time for training" if self._clock.training > 0 else ""
        stderr().print(
            f"TrainingProbe: {counted(shards, 'step')} of {run.size}/seed{run.seed} in {run.folder.path}{took}.",
            soft_wrap=True,
        )

    def _warn(self, text: str) -> None:
        kind = re.sub(r"\d+", "", text)  # The same of two steps is said once.
        if kind not in self._told:
            self._told.add(kind)
            warnings.warn(text, PhasescopeWarning, stacklevel=2)


def _check(size: str | None, seed: int, probes: dict[str, Any]) -> None:
    """Raise `PhasescopeError` for what a model in training cannot be called, or cannot be asked for."""
    for name in {"engine", "device", "dtype"} & probes.keys():
        raise PhasescopeError(f"A TrainingProbe has no option {name}: it reads the model as it is trained.")
    if probes.get("gradients") == "training":
        raise PhasescopeError(
            "A TrainingProbe does not know the batches that are trained on. Choose gradients='inputs'."
        )
    if size is not None and not re.fullmatch(r"[^/\\.][^/\\]*", size):
        raise PhasescopeError(f"{size!r} cannot name a size: it names a folder. Choose a name such as 160m.")
    if not isinstance(seed, int) or seed < 0:
        raise PhasescopeError(f"A seed is a whole number from 0, not {seed!r}.")


def _is_first_process() -> bool:
    from torch import distributed

    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _wait_for_device(model: Module) -> None:
    """Let a GPU finish what training has given it to do, so that its time is not taken for the probe's."""
    import torch

    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, PhasescopeError) else f"{type(error).__name__}: {error}"
