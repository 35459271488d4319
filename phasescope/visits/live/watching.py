"""One site of a run that is still being captured: what is there already, without computing everything again.

The last step is not known yet, so that every state is compared with the latest there is. That moves with every shard;
comparing all with it each time would be n² comparisons. So the state that is compared with stays until there are twice
as many shards, and once more at the end: at most four comparisons per shard altogether.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError, did_you_mean, nearest_number
from phasescope.store import RunFolder, ShardKey
from phasescope.visits.training.run import SOURCE

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from phasescope.hooks import Site


@dataclass(frozen=True)
class Seen:
    """What a shard showed of the site: biased CKA with the state `against`, and the effective rank over the largest."""

    against: int
    cka: float
    proportional: float


@dataclass
class Watch:
    """What is known of one site of one size. `refresh` reads what is new; one shard is in memory at a time.

    Attributes:
        planned: seed and step of all that were asked for; of a training, of those that have come.
        seen: by seed and step.
        problems: shards that could not be read, by seed and step, and checkpoints that the capture could not read.
        done: whether nothing more is to come.
    """

    folder: RunFolder
    size: str
    site: Site
    head: int | None = None
    planned: frozenset[tuple[int, int]] = frozenset()
    seen: dict[tuple[int, int], Seen] = field(default_factory=dict)
    problems: dict[tuple[int, int], str] = field(default_factory=dict)
    done: bool = False
    compared: int = 0
    """Comparisons so far."""
    _files: dict[ShardKey, tuple[int, int]] = field(default_factory=dict)
    _against: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By seed: the step that its others are compared with, and of how many shards that was the latest."""

    @classmethod
    def begin(cls, folder: RunFolder, size: str | None, site: Site, head: int | None = None) -> Watch:
        """A watch of the size of that name, or of the only one that was asked for.

        Raises `PhasescopeError` where there is no run yet, or it was not asked for such a size or site.
        """
        manifest = folder.read_manifest()
        sizes = list(manifest["sizes"])
        if size is None and len(sizes) > 1:
            raise PhasescopeError(f"Several sizes are in this run: name one. {did_you_mean('', sizes)}")
        if size is not None and size not in sizes:
            raise PhasescopeError(f"There is no size {size!r}. {did_you_mean(size, sizes)}")
        return cls(folder, size or sizes[0], site, head)

    @property
    def title(self) -> str:
        return f"{self.site.short}{'' if self.head is None else f' head {self.head}'} of {self.size}"

    @property
    def steps(self) -> list[int]:
        """All that there are or will be."""
        return sorted({step for _, step in (*self.planned, *self.seen)})

    @property
    def seeds(self) -> list[int]:
        return sorted({seed for seed, _ in self.seen})

    def refresh(self) -> bool:
        """Read the shards that are new; whether anything has changed."""
        # The manifest first: a shard that comes after it was looked at is only found the next time.
        manifest = self.folder.read_manifest()
        planned = frozenset((c["seed"], c["step"]) for c in manifest["checkpoints"] if c["size"] == self.size)
        failed = {(f["seed"], f["step"]): f["reason"] for f in manifest["failed"] if f["size"] == self.size}
        files = self._files_now()
        new = [key for key, stat in files.items() if self._files.get(key) != stat]
        before = (self.planned, self.done, len(self.problems))
        self.planned = planned
        self.done = self._is_done(manifest, set(planned - set(failed)), {(key.seed, key.step) for key in files})
        self._files = files
        for seed in sorted({key.seed for key in files}):
            self._refresh_seed(seed, [key for key in new if key.seed == seed])
        self.problems |= failed
        return bool(new) or before != (self.planned, self.done, len(self.problems))

    def _files_now(self) -> dict[ShardKey, tuple[int, int]]:
        stats = {key: self.folder.shard(key).stat() for key in self.folder.shards() if key.size == self.size}
        return {key: (stat.st_size, stat.st_mtime_ns) for key, stat in stats.items()}

    def _is_done(self, manifest: dict[str, Any], wanted: set[tuple[int, int]], present: set[tuple[int, int]]) -> bool:
        if manifest["source"] == SOURCE:
            ended = {t["seed"] for t in manifest.get("trainings", []) if t["size"] == self.size}
            return {seed for seed, _ in present} <= ended and bool(present)
        return wanted <= present

    def _refresh_seed(self, seed: int, new: list[ShardKey]) -> None:
        there = sorted(key.step for key in self._files if key.seed == seed)
        against, of = self._against.get(seed, (-1, 0))
        moved = any(key.step == against for key in new)
        if moved or len(there) >= 2 * of or (self.done and against != there[-1]):
            against = there[-1]
            self._against[seed] = (against, len(there))
            new = [ShardKey(self.size, seed, step) for step in there]
        if new:
            self._compare(ShardKey(self.size, seed, against), new)

    def _compare(self, reference: ShardKey, keys: list[ShardKey]) -> None:
        from phasescope.measures import FinalState

        final = self._read_whole(reference)
        if final is None:
            return
        state = FinalState(final)
        for key in keys:
            values = self._read_whole(key)
            if values is None:
                continue
            self.seen[key.seed, key.step] = Seen(reference.step, float(state.cka(values)), _proportional(values))
            self.compared += 1

    def _read_whole(self, key: ShardKey) -> Float[Tensor, "samples d"] | None:
        """None where the shard is damaged, which is noted; what no shard will have is not asked for again."""
        try:
            return self._read(key)
        except NotRecordedError:
            raise
        except PhasescopeError as error:
            self.problems[key.seed, key.step] = str(error)
            return None

    def _read(self, key: ShardKey) -> Float[Tensor, "samples d"]:
        import torch

        from phasescope.hooks import parts_of
        from phasescope.hooks.sites import OF_EXPERTS
        from phasescope.store import recorded_site

        with self.folder.open_shard(key) as shard:
            recorded = [name.removeprefix("activations/") for name in shard.names("activations")]
            if self.site.name not in recorded:
                raise self._no_site(recorded)
            values = torch.from_numpy(recorded_site(shard, self.site.name).whole())
        parts = dict(parts_of(self.site.component, values))
        if not parts:
            raise NotRecordedError(f"{self.site.name} {OF_EXPERTS}")
        if self.head not in parts:
            heads = [head for head in parts if head is not None]
            raise NotRecordedError(f"{self.site.name} has no head {self.head}. {nearest_number(self.head or 0, heads)}")
        return parts[self.head]

    def _no_site(self, recorded: list[str]) -> NotRecordedError:
        from phasescope.hooks import Site

        there = sorted(Site.parse(name) for name in recorded)
        named = did_you_mean(self.site.short, [site.short for site in there])
        return NotRecordedError(f"This run does not record {self.site.short} of {self.size}. {named}")


class NotRecordedError(PhasescopeError):
    """No shard of this run will have what is asked for."""


def _proportional(values: Float[Tensor, "samples d"]) -> float:
    """Effective rank of the centred activations over the largest that it can be, as the analysis of ranks has it."""
    from phasescope.measures import contrasts, effective_rank

    centred = contrasts(values)
    return float(effective_rank(centred)) / max(min(centred.shape), 1)
