"""A known suite, as an entry that lists it without a network or says how the hub is asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from phasescope.suites.hub import LookUp, found_in
from phasescope.suites.naming import Told
from phasescope.suites.suite import Suite
from phasescope.suites.trajectories import Found, assembled


@dataclass(frozen=True)
class Preset:
    """One known suite: where its checkpoints are, and which there are."""

    name: str
    about: str
    repository: str
    """The repository's id, with `{size}`, `{seed}`, `{step}`, `{thousands}` (of steps) and `{name}` to fill in."""
    sizes: tuple[str, ...] = ()
    """Empty where the hub is asked which repositories there are, with `{recipe}` and `{size}` in `repository`."""
    seeds: tuple[int, ...] = (0,)
    steps: tuple[int, ...] = ()
    """Empty where they are looked up."""
    revision: str | LookUp = "step{step}"
    """Its name, with `{step}` to fill in, or how revisions are looked up."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """For repositories with names that do not follow from size and seed: of each size, that of each seed; of a run in
    two repositories both, joined by a plus."""
    at: Mapping[int, str] | None = None
    """For checkpoints with repositories of their own whose names do not follow from the step: that of each step."""
    stages: tuple[str, ...] = ()
    """The order of its stages, where their names do not tell it."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    """The tokens that one step reads: sequences in a batch × their length. By size, by `size stage`, or by "" for all;
    empty where names tell it, or where it is not known, or changes."""
    tokens_at_0: int = 0
    """The tokens that the checkpoint numbered 0 had read, where that is not the initialisation."""
    begins: bool = False
    """Whether it was trained with a beginning-of-text token that its tokenizer may not put there by itself."""
    megabytes: Mapping[str, int] = field(default_factory=dict)
    """The weights of one checkpoint of each size, about; empty where the hub is asked."""

    def tokens_of(self, size: str, stage: str = "") -> int | None:
        """The tokens that one step of a size reads in a stage; None where that is not known."""
        return next((self.tokens[key] for key in (f"{size} {stage}", size, "") if key in self.tokens), None)

    @property
    def is_looked_up(self) -> bool:
        """Whether its steps are known only to the hub."""
        return isinstance(self.revision, LookUp)

    def suite(self, sizes: Sequence[str] = ()) -> Suite:
        """Its checkpoints. Nothing is downloaded, nor looked up, unless its steps are known only to the hub.

        sizes: if any, the hub is not asked for others.
        """
        found: list[Found] = []
        left_out: list[str] = []
        if not self.sizes and isinstance(self.revision, LookUp):
            found, left_out = found_in(self.repository, self.revision, self.name, sizes)
            found = [replace(one, told=self._told(one.told, one.told.size, one.told.seed)) for one in found]
        for size in [one for one in self.sizes if one in sizes] or self.sizes:
            for index, seed in enumerate(self.seeds):
                there, beside = self._there(size, seed, self.names[size][index] if self.names else "")
                # Of one seed what has branches is shared by them: it tells none.
                own = str(seed) if len(self.seeds) > 1 else ""
                found += [replace(one, told=self._told(one.told, size, one.told.seed or own)) for one in there]
                left_out += beside
        return assembled(self.name, self.name, found, left_out=left_out, stages=self.stages)

    def _told(self, told: Told, size: str, seed: str) -> Told:
        """What a name tells, with what the entry knows."""
        each = self.tokens_of(size, told.stage)
        tokens = told.tokens if each is None else each * told.step + self.tokens_at_0
        return replace(told, size=size, seed=seed, tokens=tokens)

    def _there(self, size: str, seed: int, name: str) -> tuple[list[Found], list[str]]:
        if isinstance(self.revision, LookUp):
            repository = self._repository(size, seed, name, 0)
            found, beside = found_in(repository, self.revision, self.name)
            return found, [each if "@" in each else f"{repository}@{each}" for each in beside]
        found = []
        for step in self.steps:
            revision, repository = self.revision.format(step=step), self._repository(size, seed, name, step)
            found.append(Found(Told(step), revision, repository, revision))
        return found, []

    def _repository(self, size: str, seed: int, name: str, step: int) -> str:
        if self.at is not None:
            return self.at[step]
        return "+".join(
            self.repository.format(size=size, seed=seed, name=one, step=step, thousands=step // 1000)
            for one in name.split("+")
        )
