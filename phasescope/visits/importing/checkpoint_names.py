"""Which checkpoint of a run a name means: size, seed and step out of model names, revisions and file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean, nearest_number
from phasescope.store import ShardKey
from phasescope.suites.suite import size_in, size_order
from phasescope.visits.importing.model_names import model_in

_STEP = re.compile(r"(?<![a-z])(?:step|checkpoint|ckpt|iter)s?[-_=]?(?P<step>\d+)", re.IGNORECASE)
_SEED = re.compile(r"(?<![a-z])seed[-_=]?(?P<seed>\d+)", re.IGNORECASE)
T = TypeVar("T")


@dataclass(frozen=True)
class Told:
    """What names tell of a checkpoint; None where they tell nothing. model: what they say beside (`model_names`)."""

    size: str | None = None
    seed: int | None = None
    step: int | None = None
    model: str = ""

    def __str__(self) -> str:
        """`160m, seed 3, step 512 of pythia-deduped`, as far as it is told."""
        said = [self.size, None if self.seed is None else f"seed {self.seed}"]
        said.append(None if self.step is None else f"step {self.step}")
        told = ", ".join(part for part in said if part)
        return " of ".join(part for part in (told, self.model.lstrip("+")) if part) or "a model that is not named"


@dataclass(frozen=True)
class CheckpointNames:
    """Reads names as names of the checkpoints of one run.

    Args:
        keys: the checkpoints of the run.
        size, seed, step: of everything that is read, whatever names say.
        step_pattern: a regular expression with a group `step`, and if names tell them so `size` and `seed`.

    Raises `PhasescopeError` for a size or seed that the run does not have, and for a pattern that is none.
    """

    keys: Sequence[ShardKey]
    size: str | None = None
    seed: int | None = None
    step_pattern: str | None = None
    step: int | None = None
    _pattern: re.Pattern[str] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.size is not None and self.size not in self.sizes:
            raise PhasescopeError(f"The run has no size {self.size!r}. {did_you_mean(self.size, self.sizes)}")
        seeds = sorted({key.seed for key in self.keys})
        if self.seed is not None and self.seed not in seeds:
            raise PhasescopeError(f"The run has no seed {self.seed}. {did_you_mean(self.seed, seeds)}")
        if self.step is not None and self.step not in {key.step for key in self.keys}:
            there = {key.step for key in self.keys}
            raise PhasescopeError(f"The run has no step {self.step}. {nearest_number(self.step, there)}")
        if self.step_pattern is not None:
            object.__setattr__(self, "_pattern", _compiled(self.step_pattern))

    @property
    def sizes(self) -> list[str]:
        return sorted({key.size for key in self.keys}, key=size_order)

    def read(self, *names: str) -> Told:
        """What the first of the names that tells a size, a seed or a step says of it."""
        return Told(
            self.size or _first(names, self._size_in),
            _first(names, self._seed_in) if self.seed is None else self.seed,
            _first(names, self._step_in) if self.step is None else self.step,
        )

    def model(self, *names: str) -> str:
        """What the first of the names that says more of a model than size, seed and step says; "" if none does."""
        patterns = [_STEP, _SEED, *([self._pattern] if self._pattern else [])]
        return next((found for name in names if (found := model_in(name, self._size_in(name), patterns))), "")

    def match(self, told: Told) -> ShardKey | str:
        """The checkpoint of the run that is meant, or why there is none. What is not told may be the only one."""
        size = told.size or (self.sizes[0] if len(self.sizes) == 1 else None)
        if size is None:
            return "its size is not told: give --size"
        if size not in self.sizes:
            return "no such size in the run"
        seeds = sorted({key.seed for key in self.keys if key.size == size})
        seed = told.seed if told.seed is not None or len(seeds) > 1 else seeds[0]
        if seed is None:
            return "its seed is not told, and the run has several: give --seed"
        if seed not in seeds:
            return "no such seed in the run"
        if told.step is None:
            return "its step is not told: give --step or --step-pattern"
        key = ShardKey(size, seed, told.step)
        return key if key in set(self.keys) else "no such step in the run"

    def _size_in(self, text: str) -> str | None:
        if found := self._group(text, "size"):
            return found
        for size in sorted(self.sizes, key=len, reverse=True):
            if re.search(rf"(?<![a-z0-9.]){re.escape(size)}(?![a-z0-9])", text, re.IGNORECASE):
                return size
        return size_in(text)

    def _seed_in(self, text: str) -> int | None:
        found = self._group(text, "seed") or _group(_SEED, text, "seed")
        return None if found is None else _whole(found)

    def _step_in(self, text: str) -> int | None:
        found = self._group(text, "step") if self._pattern else _group(_STEP, text, "step")
        return None if found is None else _whole(found)

    def _group(self, text: str, name: str) -> str | None:
        return _group(self._pattern, text, name) if self._pattern else None


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise BadArgumentError(f"--step-pattern {pattern!r} is no regular expression: {error}.") from error
    if "step" not in compiled.groupindex:
        raise BadArgumentError(rf"--step-pattern {pattern!r} has no group that is the step: write it as (?P<step>\d+).")
    return compiled


def _first(names: Iterable[str], read: Callable[[str], T | None]) -> T | None:
    return next((found for name in names if (found := read(name)) is not None), None)


def _group(pattern: re.Pattern[str], text: str, name: str) -> str | None:
    found = pattern.search(text)
    return found.groupdict().get(name) if found else None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise PhasescopeError(f"{text!r} is not a whole number: let --step-pattern match digits alone.") from error
