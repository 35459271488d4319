"""What there is to study: the checkpoints of one family, by size, seed and step."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

from phasescope.console import counted
from phasescope.errors import PhasescopeError, did_you_mean, nearest_number
from phasescope.suites.naming import looks_like_a_step, pattern_for, shown
from phasescope.suites.selection import StepSelection

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9}
_WORDS = ("nano", "tiny", "mini", "xs", "small", "base", "medium", "large", "xl", "huge", "xxl")
Item = TypeVar("Item", str, int | str)


@dataclass(frozen=True)
class Checkpoint:
    """One state of one model in training. Nothing is loaded before `model()` is asked for."""

    family: str
    size: str
    seed: int
    step: int
    location: str
    """A folder, or the id of a repository on the hub."""
    revision: str | None = None
    """The branch or tag in the repository; None where `location` is a folder."""
    file: str | None = None
    """The file there that holds the weights, where checkpoints are files (see `phasescope.suites.hooked`)."""
    folder: str = ""
    """The folder there, where checkpoints are folders of one revision."""
    tokens: int | None = None
    """The tokens that it had read, where that is known."""
    stage: str = ""
    """The part of training with its own data or schedule that it belongs to; empty where there is one only."""
    seed_name: str = ""
    """What the seed is called, where that is no number."""
    config: str = ""
    """A folder with the configuration, where none lies with the weights."""
    prefix: str = ""
    """What stands before the names of the weights; empty where that is found out."""

    @property
    def label(self) -> str:
        """How messages name it: `14m/seed1/step512`."""
        return f"{self.size}/seed{self.seed}/step{self.step}"

    @property
    def is_local(self) -> bool:
        """Whether it lies in a folder on this machine rather than on the hub."""
        return self.revision is None

    @property
    def place(self) -> str:
        """Where it is, for messages: the folder, `owner/name@revision`, or `owner/name/file`."""
        if self.file is not None or self.folder:
            return f"{self.location}/{self.file or self.folder}"
        return self.location if self.revision is None else f"{self.location}@{self.revision}"

    def model(
        self, *, device: str = "cpu", dtype: str | None = None, trust_remote_code: bool = False
    ) -> PreTrainedModel:
        """The language model, checked and in evaluation mode; `ps.tap` reads its sites.

        dtype: `"float16"`, say; None: as stored. trust_remote_code: run Python code that comes with the checkpoint.

        Raises `PhasescopeError` (a `BadCheckpointError`) that names what is missing, truncated or not finite.
        """
        how: dict[str, Any] = {"device": device, "dtype": dtype, "trust_remote_code": trust_remote_code}
        loaded: PreTrainedModel = _opening("load").load_model(self, **how)
        return loaded

    def tokenizer(self, *, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
        """The fast tokenizer that lies with it, or in a folder above. Raises `PhasescopeError` if there is none."""
        opened: PreTrainedTokenizerFast = _opening("tokenizer").load_tokenizer(
            self, trust_remote_code=trust_remote_code
        )
        return opened


@dataclass(frozen=True, repr=False)
class Suite:
    """The checkpoints under study: sizes × seeds × steps of one family, in visiting order.

    >>> early, late = Checkpoint("toy", "14m", 1, 0, "toy/step0"), Checkpoint("toy", "14m", 1, 8, "toy/step8")
    >>> Suite("toy", "./toy", (early, late)).select(steps="last")
    Suite(toy: 1 size × 1 seed × 1 step = 1 checkpoint, from ./toy)
    """

    family: str
    source: str
    checkpoints: tuple[Checkpoint, ...]
    left_out: tuple[str, ...] = ()
    """What lies beside the checkpoints and may be one too, under names that were not matched: see `left_out_note`."""
    unit: str = "steps"
    """What `Checkpoint.step` counts: steps, words, chunks or tokens."""
    unchosen: tuple[Checkpoint, ...] = field(default=(), compare=False)
    """The checkpoints of the same source that `select` left out."""

    def __post_init__(self) -> None:
        ordered = sorted(self.checkpoints, key=_visiting_order)
        for one, other in pairwise(ordered):
            if _visiting_order(one) == _visiting_order(other):
                remedy = "Move one away." if one.is_local else "Give a pattern that matches only one."
                raise PhasescopeError(
                    f"Two checkpoints of {self.source} are both {one.label}: {one.place} and {other.place}. {remedy}"
                )
        object.__setattr__(self, "checkpoints", tuple(ordered))

    def __len__(self) -> int:
        return len(self.checkpoints)

    def __iter__(self) -> Iterator[Checkpoint]:
        return iter(self.checkpoints)

    def __repr__(self) -> str:
        seeds = {checkpoint.seed for checkpoint in self.checkpoints}
        shape = " × ".join(
            counted(number, word)
            for number, word in [(len(self.sizes), "size"), (len(seeds), "seed"), (len(self.steps()), "step")]
        )
        absent = sum(map(len, self.missing().values()))
        note = f" ({absent} missing)" if absent else ""
        return f"Suite({self.family}: {shape} = {counted(len(self), 'checkpoint')}{note}, from {self.source})"

    @property
    def left_out_note(self) -> str:
        """What was left out, in a sentence that says how to take it in; empty where nothing was."""
        if not self.left_out:
            return ""
        several, place = len(self.left_out) > 1, self.source.partition("@")[0]
        if self._is_local:
            said = (
                f"{len(self.left_out)} {'folders' if several else 'folder'} of {place} with a model in "
                f"{'them' if several else 'it'} {'are' if several else 'is'} left out: {shown(self.left_out)}."
            )
        else:
            there = len(self.left_out) + len({(one.location, one.revision, one.folder) for one in self.checkpoints})
            said = (
                f"{len(self.left_out)} of {there} revisions of {place} {'are' if several else 'is'} not matched: "
                f"{shown(self.left_out)}."
            )
        stepped = [name for name in self.left_out if looks_like_a_step(name)]
        if not stepped or "/" not in place or "@commits:" in self.source:
            return said
        pattern = pattern_for([*stepped, *self._names()])
        of_one = " and, before them, stages of this training" if "(?P<stage>" in pattern else ""
        return f"{said} Where names tell steps{of_one}, say how: '{place}@{pattern}'"

    @property
    def _is_local(self) -> bool:
        return all(checkpoint.is_local for checkpoint in self.checkpoints)

    def _names(self) -> list[str]:
        """What the checkpoints are called where they lie."""
        return [
            one.location.rpartition("/")[2] if one.is_local else one.folder or str(one.revision)
            for one in self.checkpoints
        ]

    @property
    def sizes(self) -> tuple[str, ...]:
        """The sizes, smallest first; names that tell no size last."""
        return tuple(dict.fromkeys(checkpoint.size for checkpoint in self.checkpoints))

    def seeds(self, size: str | None = None) -> tuple[int, ...]:
        """The seeds of one size (or of any), ascending."""
        return tuple(sorted({checkpoint.seed for checkpoint in self._of(size)}))

    def steps(self, size: str | None = None, seed: int | None = None) -> tuple[int, ...]:
        """The steps that any chosen model has, ascending."""
        return tuple(sorted({checkpoint.step for checkpoint in self._of(size, seed)}))

    def checkpoint(self, size: str, seed: int, step: int) -> Checkpoint:
        """The one checkpoint asked for; `PhasescopeError` with the nearest there is if it is not there."""
        for candidate in self._of(size, seed):
            if candidate.step == step:
                return candidate
        there = self.steps(size, seed)
        raise PhasescopeError(
            f"There is no step {step} of {size}/seed{seed} in {self.source}. {nearest_number(step, there)}"
        )

    def select(
        self,
        sizes: str | Sequence[str] | None = None,
        seeds: int | str | Sequence[int | str] | None = None,
        steps: str | int | Sequence[int | str] = "all",
    ) -> Suite:
        """The part of the suite with these sizes, seeds (by number or name) and steps (None: all of them).

        `steps` is `all`, `log`, `last`, `every:10000`, step numbers, or several of these joined by commas
        (see `StepSelection`). The rules look at each size on its own: `last` is the last step of each size.
        A step that only some seeds have is kept for those (see `missing`).

        Raises `PhasescopeError` for a size, seed or step that no chosen model has, with the nearest there is.
        """
        wanted_sizes = self.sizes if sizes is None else _as_tuple(sizes, "sizes")
        for size in wanted_sizes:
            self._require_size(size)
        in_sizes = [checkpoint for checkpoint in self.checkpoints if checkpoint.size in wanted_sizes]
        known_seeds = {checkpoint.seed for checkpoint in in_sizes}
        numbers: dict[int | str, int] = {checkpoint.seed_name: checkpoint.seed for checkpoint in in_sizes}
        wanted = known_seeds if seeds is None else _as_tuple(seeds, "seeds")
        wanted_seeds = {numbers.get(seed, seed) if seed else seed for seed in wanted}
        for seed in wanted_seeds - known_seeds:
            remedy = (
                nearest_number(seed, known_seeds) if isinstance(seed, int) else did_you_mean(seed, map(str, numbers))
            )
            raise PhasescopeError(f"There is no seed {seed} in {self.source}. {remedy}")

        models = [checkpoint for checkpoint in in_sizes if checkpoint.seed in wanted_seeds]
        selection = StepSelection.parse(steps)
        selection.require_in({checkpoint.step for checkpoint in models}, self.source)
        chosen: list[Checkpoint] = []
        for _, group in groupby(models, key=lambda checkpoint: checkpoint.size):
            of_size = list(group)
            kept = set(selection.among(checkpoint.step for checkpoint in of_size))
            chosen += [checkpoint for checkpoint in of_size if checkpoint.step in kept]
        taken = set(chosen)
        others = tuple(checkpoint for checkpoint in self.checkpoints if checkpoint not in taken)
        return replace(self, checkpoints=tuple(chosen), unchosen=(*self.unchosen, *others))

    def cohorts(self) -> list[tuple[str, int, tuple[Checkpoint, ...]]]:
        """All seeds of one size at one step, as (size, step, checkpoints), in visiting order."""
        groups = groupby(self.checkpoints, key=lambda checkpoint: (checkpoint.size, checkpoint.step))
        return [(size, step, tuple(group)) for (size, step), group in groups]

    def missing(self) -> dict[tuple[str, int], tuple[int, ...]]:
        """For each (size, seed) that lacks steps which another seed of its size has: those steps."""
        steps_of: dict[tuple[str, int], set[int]] = {}
        steps_of_size: dict[str, set[int]] = {}
        for checkpoint in self.checkpoints:
            steps_of.setdefault((checkpoint.size, checkpoint.seed), set()).add(checkpoint.step)
            steps_of_size.setdefault(checkpoint.size, set()).add(checkpoint.step)
        by_size_and_seed = sorted(steps_of.items(), key=lambda item: (size_order(item[0][0]), item[0][1]))
        return {
            (size, seed): tuple(sorted(absent))
            for (size, seed), there in by_size_and_seed
            if (absent := steps_of_size[size] - there)
        }

    def _of(self, size: str | None = None, seed: int | None = None) -> list[Checkpoint]:
        if size is not None:
            self._require_size(size)
        found = [checkpoint for checkpoint in self.checkpoints if size in (None, checkpoint.size)]
        if seed is None:
            return found
        seeds = {checkpoint.seed for checkpoint in found}
        if seed not in seeds:
            of_size = f" of {size}" if size else ""
            remedy = nearest_number(seed, seeds)
            raise PhasescopeError(f"There is no seed {seed}{of_size} in {self.source}. {remedy}")
        return [checkpoint for checkpoint in found if checkpoint.seed == seed]

    def _require_size(self, size: str) -> None:
        if size not in self.sizes:
            remedy = did_you_mean(size, self.sizes)
            raise PhasescopeError(f"There is no size {size!r} in {self.source}. {remedy}")


def size_in(name: str) -> str | None:
    """The number of parameters that a model's name tells, as written there; None if it tells none.

    Numbers of tokens and words are none: trillions, what has `tok` or a T after it, and BabyLM's 10m and 100m.

    >>> [size_in(name) for name in ("pythia-1.4b-deduped", "bloom-1b1", "babylm-100m-gpt2", "comma-v0.1-1t")]
    ['1.4b', '1b1', None, None]
    """
    if re.search("babylm|strict", name, re.IGNORECASE):
        name = re.sub(r"(?i)(?<!\d)100?m(?![a-z0-9])", "", name)
    found = re.search(r"(?<![a-z0-9.])\d+(?:\.\d+)?[kmb]\d*(?![a-z0-9]|[-_ ]*tok)", name, re.IGNORECASE)
    return found[0] if found else None


def parameters_in(size: str) -> float | None:
    """The number that a size tells.

    >>> [parameters_in(size) for size in ("160m", "1b7", "pythia-1.4b", "small")]
    [160000000.0, 1700000000.0, 1400000000.0, None]
    """
    told = re.fullmatch(r"(\d+(?:\.\d+)?)([kmb])(\d*)", size_in(size) or "", re.IGNORECASE)
    if told is None:
        return None
    return float(f"{told[1]}.{told[3]}" if told[3] else told[1]) * _UNITS[told[2].lower()]


@functools.cache
def size_order(size: str) -> tuple[float, int, str]:
    """A sorting key: by the number of parameters that the name tells, then by words, then names that tell neither.

    >>> sorted(["1.4b", "160m", "xl", "small", "1b1", "14m", "1b"], key=size_order)
    ['14m', '160m', '1b', '1b1', '1.4b', 'small', 'xl']
    """
    number = parameters_in(size)
    words = [_WORDS.index(word) for word in re.split(r"[-_]", size.lower()) if word in _WORDS]
    return float("inf") if number is None else number, words[0] if words else len(_WORDS), size


def _opening(module: str) -> Any:
    """What opens checkpoints, which stands above what they are: so it is found by its name, when it is asked for."""
    return import_module(f"phasescope.suites.{module}")


def _visiting_order(checkpoint: Checkpoint) -> tuple[tuple[float, int, str], int, int]:
    return size_order(checkpoint.size), checkpoint.step, checkpoint.seed


def _as_tuple(given: Item | Sequence[Item], what: str) -> tuple[Item, ...]:
    several: tuple[Item, ...] = (given,) if isinstance(given, str | int) else tuple(given)
    if not several:
        raise PhasescopeError(f"The choice of {what} is empty: name at least one, or leave it out for all.")
    return several
