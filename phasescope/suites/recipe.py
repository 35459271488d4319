"""The recipe that all models of a nursery share: text, updates, learning rate."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from phasescope.errors import BadArgumentError, did_you_mean
from phasescope.suites.selection import select_steps
from phasescope.suites.shapes import ARCHITECTURES, Shape

# Entries that a byte-level tokenizer has before it learns anything: all bytes and <|endoftext|>.
SMALLEST_VOCABULARY = 257

# The learning rate after the warm-up, as a part of the highest, of update number `done` out of `steps` that follow it;
# `decay`: how many of these are the last phase of `warmup_stable_decay`. Named as in `transformers.SchedulerType`.
SCHEDULES: Mapping[str, Callable[[int, int, int], float]] = {
    "constant": lambda done, steps, decay: 1.0,
    "constant_with_warmup": lambda done, steps, decay: 1.0,
    "linear": lambda done, steps, decay: 1 - done / steps,
    "cosine": lambda done, steps, decay: 0.5 * (1 + math.cos(math.pi * done / steps)),
    "cosine_with_min_lr": lambda done, steps, decay: 0.1 + 0.45 * (1 + math.cos(math.pi * done / max(1, steps - 1))),
    "warmup_stable_decay": lambda done, steps, decay: min(1.0, (steps - done) / max(1, decay)),
}


@dataclass(frozen=True)
class Recipe:
    """How every model of a suite is trained. Sizes and seeds are not part of it: they can be added later.

    Attributes:
        steps: updates of the weights.
        batch: sequences in one update.
        context: tokens in one sequence.
        vocabulary: entries of the tokenizer, bytes and <|endoftext|> included.
        learning_rate: the highest, reached after the warm-up. None chooses by width, as Adam's best rate falls with
            it: 4e-3 up to 128 dimensions, beyond that 0.512 / d_model (1e-3 at 512, as Pythia has).
        schedule: how it goes on, named as in `transformers`: `cosine_with_min_lr` (down to a tenth), `cosine` and
            `linear` (down to zero), `constant_with_warmup`, `constant` (which has no warm-up), or
            `warmup_stable_decay` (constant, and at the end linearly down to zero).
        warmup: the part of the steps in which the learning rate rises.
        decay: the part of the steps, at the end, in which `warmup_stable_decay` falls.
        weight_decay: of matrices; biases, norms and what else is no matrix have none.
        checkpoints: the steps to save, as `phasescope.suites.selection` reads them (`log`: 0, 1, 2, 4, 8, …). The
            last step is always saved.
        held_out: the part of the text, at its end, that is never trained on, so that the models can be asked about
            it: of a few megabytes, a twentieth fills the sequences of a capture.
        most_text: characters after which no more documents are read.
        architecture: a name in `phasescope.suites.shapes.ARCHITECTURES`: `gpt_neox`, `gpt2`, `llama`, `olmoe`,
            `lfm2`, `mamba`, `rwkv`.

    Raises `PhasescopeError` for a value that makes no sense.
    """

    steps: int = 512
    batch: int = 8
    context: int = 128
    vocabulary: int = 2048
    learning_rate: float | None = None
    schedule: str = "cosine_with_min_lr"
    warmup: float = 0.1
    decay: float = 0.2
    weight_decay: float = 0.1
    checkpoints: str | Sequence[int | str] = "log"
    held_out: float = 0.05
    most_text: int = 200_000_000
    architecture: str = "gpt_neox"

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "most_text"):
            self._require(name, at_least=1, whole=True)
        self._require("context", at_least=2, whole=True)
        self._require("vocabulary", at_least=SMALLEST_VOCABULARY, whole=True)
        if self.learning_rate is not None:
            self._require("learning_rate", above=0)
        self._require("weight_decay", at_least=0)
        self._require("warmup", at_least=0, below=1)
        self._require("decay", at_least=0, below=1)
        self._require("held_out", above=0, below=1)
        if self.architecture not in ARCHITECTURES:
            remedy = did_you_mean(self.architecture, ARCHITECTURES)
            raise BadArgumentError(f"The nursery cannot build the architecture {self.architecture!r}. {remedy}")
        if self.schedule not in SCHEDULES:
            remedy = did_you_mean(self.schedule, SCHEDULES)
            raise BadArgumentError(f"The nursery knows no schedule {self.schedule!r} of the learning rate. {remedy}")
        if not isinstance(self.checkpoints, str):
            object.__setattr__(self, "checkpoints", ",".join(map(str, self.checkpoints)))
        _ = self.saved_steps

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Recipe:
        """The recipe with these options. Raises `PhasescopeError` for one that there is not."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise BadArgumentError(f"A training recipe has no option {name!r}. {did_you_mean(name, known)}")
        return cls(**options)

    @cached_property
    def saved_steps(self) -> tuple[int, ...]:
        """The steps at which a checkpoint is saved, ascending; step n is after n updates."""
        return tuple(sorted({*select_steps(self.checkpoints, range(self.steps + 1)), self.steps}))

    @property
    def padded_vocabulary(self) -> int:
        """Rows of the embedding: the vocabulary, rounded up to a multiple of 64 (which matrix products like)."""
        return 64 * math.ceil(self.vocabulary / 64)

    def highest_learning_rate(self, shape: Shape) -> float:
        """The learning rate after the warm-up."""
        return self.learning_rate or 4e-3 * min(1.0, 128 / shape.d_model)

    def learning_rate_at(self, step: int, shape: Shape) -> float:
        """The learning rate of the update that leads from `step` to the next: linear warm-up, then the schedule."""
        highest = self.highest_learning_rate(shape)
        rising = 0 if self.schedule == "constant" else round(self.warmup * self.steps)
        if step < rising:
            return highest * (step + 1) / rising
        return highest * SCHEDULES[self.schedule](step - rising, self.steps - rising, round(self.decay * self.steps))

    def _require(
        self,
        name: str,
        *,
        at_least: float = -math.inf,
        above: float = -math.inf,
        below: float = math.inf,
        whole: bool = False,
    ) -> None:
        value = getattr(self, name)
        number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not (number and value >= at_least and above < value < below):
            wanted = ["a whole number" if whole else "a number"]
            wanted += [f"of at least {at_least}"] if at_least > -math.inf else []
            wanted += [f"above {above}"] if above > -math.inf else []
            wanted += [f"below {below}"] if below < math.inf else []
            raise BadArgumentError(f"The option {name} of a training recipe must be {' '.join(wanted)}, not {value!r}.")
