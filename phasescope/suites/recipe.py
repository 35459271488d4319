"""What the nursery trains: the shapes of the models, and the recipe that all models of a suite share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.suites.selection import select_steps

# Entries that a byte-level tokenizer has before it learns anything: all bytes and <|endoftext|>.
SMALLEST_VOCABULARY = 257


@dataclass(frozen=True)
class Shape:
    """The shape of one model. The MLP is four times as wide as the residual stream."""

    name: str
    d_model: int
    layers: int
    heads: int

    @property
    def d_mlp(self) -> int:
        return 4 * self.d_model


# The first four are named by their parameters with 2048 vocabulary entries. The others have the shapes of the Pythia
# models of that name (Biderman et al. 2023), and fewer parameters: the names count 50 304 entries.
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("150k", d_model=32, layers=2, heads=2),
        Shape("400k", d_model=64, layers=3, heads=4),
        Shape("1m", d_model=128, layers=4, heads=4),
        Shape("6m", d_model=256, layers=6, heads=8),
        Shape("14m", d_model=128, layers=6, heads=4),
        Shape("31m", d_model=256, layers=6, heads=8),
        Shape("70m", d_model=512, layers=6, heads=8),
        Shape("160m", d_model=768, layers=12, heads=12),
    )
}

# What `transformers` must be told beyond the shape. Dropout is nowhere: it would draw random numbers while training.
ARCHITECTURES: Mapping[str, Mapping[str, Any]] = {
    "gpt_neox": {
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
        "use_parallel_residual": True,
    },
    "gpt2": {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "llama": {},
}


def find_shape(size: str) -> Shape:
    """The shape of that name. Raises `PhasescopeError` with the nearest if there is none."""
    if size not in SHAPES:
        raise PhasescopeError(f"The nursery knows no size {size!r}. {did_you_mean(size, SHAPES)}")
    return SHAPES[size]


@dataclass(frozen=True)
class Recipe:
    """How every model of a suite is trained. Sizes and seeds are not part of it: they can be added later.

    Attributes:
        steps: updates of the weights.
        batch: sequences in one update.
        context: tokens in one sequence.
        vocabulary: entries of the tokenizer, bytes and <|endoftext|> included.
        learning_rate: the highest, reached after the warm-up; it decays to a tenth along a cosine. None chooses by
            width, as Adam's best rate falls with it: 4e-3 up to 128 dimensions, beyond that 0.512 / d_model (1e-3
            at 512, as Pythia has).
        warmup: the part of the steps in which the learning rate rises.
        weight_decay: of matrices; biases and norms have none.
        checkpoints: the steps to save, as `phasescope.suites.selection` reads them (`log`: 0, 1, 2, 4, 8, …). The
            last step is always saved.
        held_out: the part of the text, at its end, that is never trained on, so that the models can be asked about
            it: of a few megabytes, a twentieth fills the sequences of a capture.
        most_text: characters after which no more documents are read.
        architecture: `gpt_neox`, `gpt2` or `llama`.

    Raises `PhasescopeError` for a value that makes no sense.
    """

    steps: int = 512
    batch: int = 8
    context: int = 128
    vocabulary: int = 2048
    learning_rate: float | None = None
    warmup: float = 0.1
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
        self._require("held_out", above=0, below=1)
        if self.architecture not in ARCHITECTURES:
            remedy = did_you_mean(self.architecture, ARCHITECTURES)
            raise PhasescopeError(f"The nursery cannot build the architecture {self.architecture!r}. {remedy}")
        if not isinstance(self.checkpoints, str):
            object.__setattr__(self, "checkpoints", ",".join(map(str, self.checkpoints)))
        _ = self.saved_steps

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Recipe:
        """The recipe with these options. Raises `PhasescopeError` for one that there is not."""
        known = [field.name for field in fields(cls)]
        for name in options:
            if name not in known:
                raise PhasescopeError(f"A training recipe has no option {name!r}. {did_you_mean(name, known)}")
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
        """The learning rate of the update that leads from `step` to the next: linear warm-up, cosine decay."""
        highest = self.highest_learning_rate(shape)
        rising = round(self.warmup * self.steps)
        if step < rising:
            return highest * (step + 1) / rising
        done = (step - rising) / max(1, self.steps - 1 - rising)
        return highest * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))

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
            raise PhasescopeError(f"The option {name} of a training recipe must be {' '.join(wanted)}, not {value!r}.")
