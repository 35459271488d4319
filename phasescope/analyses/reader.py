"""A run as analyses see it: which checkpoints have a shard, and what the shards hold."""

from __future__ import annotations

import hashlib
import warnings
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.errors import PhasescopeError, PhasescopeWarning, did_you_mean, nearest_number
from phasescope.store import RunFolder, ShardKey, digests, missing_shards

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from torch import Tensor

    from phasescope.audit import Finding
    from phasescope.store import Container
    from phasescope.texts import Inputs, Items, Scores


@dataclass(frozen=True)
class RunReader:
    """Reads a run; never writes shards. The list of shards is taken when it is made.

    keep_suspect: whether checkpoints are read too that certainly are not what their names say (`phasescope.audit`).
    """

    folder: RunFolder
    keep_suspect: bool = False
    manifest: dict[str, Any] = field(init=False)
    shards: tuple[ShardKey, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "manifest", self.folder.read_manifest())
        object.__setattr__(self, "shards", tuple(self.folder.shards()))

    @cached_property
    def findings(self) -> list[Finding]:
        """What the audit of the run finds."""
        from phasescope.audit import audit_run

        return audit_run(self.folder)

    def keep_findings(self) -> None:
        """Keep in `results` what the audit finds, for those who only look at the run; a capture has done so."""
        from phasescope.audit import audit_run

        self.__dict__["findings"] = audit_run(self.folder, keep=True)

    @cached_property
    def suspects(self) -> frozenset[ShardKey]:
        """The checkpoints that have a shard and certainly are not what their names say."""
        from phasescope.audit import left_out

        return frozenset(left_out(self.findings) & set(self.shards))

    @cached_property
    def keys(self) -> tuple[ShardKey, ...]:
        """The checkpoints that are read: those that have a shard, without suspects unless these are to be kept."""
        return self.shards if self.keep_suspect else tuple(key for key in self.shards if key not in self.suspects)

    @property
    def suspects_note(self) -> str:
        """Which checkpoints are suspect, why, and whether they are left out; "" where none is."""
        if not self.suspects:
            return ""
        why = " ".join(one.sentence for one in self.findings if set(one.suspects) & self.suspects)
        done = "is kept" if self.keep_suspect else "is left out (--keep-suspect keeps it)"
        if len(self.suspects) > 1:
            done = "are kept" if self.keep_suspect else "are left out (--keep-suspect keeps them)"
        return f"{counted(len(self.suspects), 'checkpoint')} certainly not what the name says {done}: {why}"

    @property
    def omitted(self) -> frozenset[ShardKey]:
        """The checkpoints that have a shard and are not read, being suspect."""
        return frozenset(self.shards) - frozenset(self.keys)

    @property
    def suspect_ends(self) -> list[ShardKey]:
        """The last steps of trainings that are left out: what is called final is then of an earlier step."""
        from phasescope.audit import last_steps

        ends = {ShardKey(size, seed, step) for (size, seed), step in last_steps(self.shards).items()}
        return sorted(ends & self.omitted)

    @property
    def doubtful_ends(self) -> list[ShardKey]:
        """The last steps of trainings that are read, though something says that they are not what they seem."""
        from phasescope.audit import last_steps

        ends = {ShardKey(size, seed, step) for (size, seed), step in last_steps(self.keys).items()}
        return sorted(ends & {key for one in self.findings if one.is_suspect for key in one.suspects})

    @cached_property
    def inputs(self) -> Inputs:
        from phasescope.texts import Inputs

        return Inputs.load(self.folder.inputs)

    @cached_property
    def sizes(self) -> list[str]:
        """Sizes that have shards, smallest first."""
        present = {key.size for key in self.keys}
        return [size for size in self.manifest["sizes"] if size in present]

    def require_shards(self) -> None:
        """Raise `PhasescopeError` where there is nothing to analyse."""
        if self.shards and not self.keys:
            raise PhasescopeError(f"Nothing of {self.folder.path} is left. {self.suspects_note}")
        if not self.keys:
            raise PhasescopeError(f"{self.folder.path} has no shards yet. Run phasescope capture into it first.")

    def require_there(self) -> None:
        """Raise `PhasescopeError` where the run was deleted since it was opened: its tables must not begin it anew."""
        if not self.folder.exists():
            self.folder.read_manifest()

    def require_whole(self) -> None:
        """Raise `PhasescopeError` where a training has lost its end, to which all else is compared.

        Warn where it was never there: a capture that was stopped, or is still at work, may be analysed as far as it is.
        Warn of other shards that were there and are gone.
        """
        self.require_there()
        missing = missing_shards(self.folder, self.manifest)
        if gone := [key for key in missing.last if key in missing.lost]:
            raise PhasescopeError(
                f"{self.folder.path} has lost last steps that it had ({_listed(gone)}), to which all others are "
                "compared. Restore them, or run the same capture again; if they are to be left out, remove run.h5 too."
            )
        if missing.lost:
            warnings.warn(
                f"{self.folder.path} has lost shards that it had ({_listed(missing.lost)}): they are left out. Restore "
                "them, or run the same capture again.",
                PhasescopeWarning,
                stacklevel=2,
            )
        if self.suspect_ends:
            warnings.warn(
                f"Last steps of {self.folder.path} are suspect and left out ({_listed(self.suspect_ends)}): what is "
                "told of the final state is of an earlier step. --keep-suspect keeps them.",
                PhasescopeWarning,
                stacklevel=2,
            )
        if self.doubtful_ends:
            warnings.warn(
                f"Last steps of {self.folder.path} may not be what they seem ({_listed(self.doubtful_ends)}), and all "
                "others are compared with them: phasescope audit says why.",
                PhasescopeWarning,
                stacklevel=2,
            )
        if missing.last:
            warnings.warn(
                f"{self.folder.path} lacks last steps that were asked for ({_listed(missing.last)}): what is told of "
                "the final state is of an earlier one. Run the same capture again.",
                PhasescopeWarning,
                stacklevel=2,
            )

    def size(self, name: str | None) -> str:
        """The size of that name, or the only one there is."""
        self.require_shards()
        if name is None and len(self.sizes) == 1:
            return self.sizes[0]
        if name not in self.sizes:
            asked = "Several sizes are in this run: name one." if name is None else f"There is no size {name!r}."
            raise PhasescopeError(f"{asked} {did_you_mean(name or '', self.sizes)}")
        return str(name)

    def seeds(self, size: str) -> list[int]:
        return sorted({key.seed for key in self.keys if key.size == size})

    def steps(self, size: str, seed: int | None = None) -> list[int]:
        return sorted({key.step for key in self.keys if key.size == size and seed in (None, key.seed)})

    def planned_seeds(self, size: str) -> list[int]:
        """The seeds that were asked for, whether or not their checkpoints could be read."""
        return sorted({c["seed"] for c in self.manifest["checkpoints"] if c["size"] == size})

    def key(self, size: str, seed: int, step: int) -> ShardKey:
        """The shard asked for; `PhasescopeError` with the nearest seed or step there is if it is not there."""
        if seed not in self.seeds(size):
            raise PhasescopeError(
                f"There is no seed {seed} of {size} in this run. {nearest_number(seed, self.seeds(size))}"
            )
        steps = self.steps(size, seed)
        if step not in steps:
            raise PhasescopeError(
                f"There is no step {step} of {size}/seed{seed} in this run. {nearest_number(step, steps)}"
            )
        return ShardKey(size, seed, step)

    def trajectories(self) -> list[tuple[str, int, list[ShardKey]]]:
        """For each size and seed its shards in order of steps."""
        return [
            (size, seed, [ShardKey(size, seed, step) for step in self.steps(size, seed)])
            for size in self.sizes
            for seed in self.seeds(size)
        ]

    def of_training(self, size: str, seed: int) -> RunReader:
        """The same run, read as if it had the shards of one training alone."""
        one = copy(self)
        object.__setattr__(one, "shards", tuple(key for key in self.shards if (key.size, key.seed) == (size, seed)))
        for known in ("keys", "suspects", "sizes", "_paths"):
            one.__dict__.pop(known, None)
        return one

    def recorded(self, key: ShardKey) -> list[str]:
        """Full names of the sites recorded in a shard, by layer."""
        from phasescope.hooks import Site

        with self.folder.open_shard(key) as shard:
            names = [name.removeprefix("activations/") for name in shard.names("activations")]
        return sorted(names, key=lambda name: (Site.parse(name).layer, name))

    def sites(self, key: ShardKey) -> list[str]:
        """The same without those of experts chosen, which are others from token to token: nothing compares them."""
        from phasescope.hooks import Site
        from phasescope.hooks.sites import CHOSEN

        names = self.recorded(key)
        if not any(Site.parse(name).component in CHOSEN for name in names):
            return names
        with self.folder.open_shard(key) as shard:
            return [
                name
                for name in names
                if Site.parse(name).component not in CHOSEN or len(shard.shape(f"activations/{name}")) == 2
            ]

    def item_sets(self, kind: str) -> list[Items]:
        """The sets of items of a kind that were frozen in this run, by name.

        Raises `PhasescopeError` where there are scores of items that are gone.
        """
        from phasescope.texts import Items

        for path in self.folder.lost_items(kind):
            raise PhasescopeError(
                f"{path} is gone, and there are scores of its items. Restore it, or remove its folder."
            )
        frozen = [found for found in self.folder.item_sets() if found[0] == kind]
        return [Items.load(self.folder.items(*found)) for found in frozen]

    def scores(self, items: Items) -> Iterator[tuple[ShardKey, Scores]]:
        """What each checkpoint scored on a set of items; checkpoints that were not visited for it are left out.

        Raises `PhasescopeError` where scores are of other items.
        """
        for key in self.scored(items):
            yield key, self.scores_of(items, key)

    def scores_of(self, items: Items, key: ShardKey) -> Scores:
        """What one checkpoint scored on a set of items; `PhasescopeError` where scores are of other items."""
        from phasescope.texts import Scores

        return Scores.load(self.folder.scores(items.kind, items.name, key), items)

    def scored(self, items: Items) -> list[ShardKey]:
        """The checkpoints that have scores on a set of items, in the order of `keys`."""
        there = set(self.folder.scored(items.kind, items.name))
        return [key for key in self.keys if key in there]

    def digests(self, keys: Sequence[ShardKey]) -> list[str]:
        """Of each of these shards the digest of its contents, as they are now."""
        return list(digests(self.folder, map(self.folder.shard, keys)).values())

    @cached_property
    def _paths(self) -> list[Path]:
        return [self.folder.shard(key) for key in self.keys]

    def fingerprint(self, files: Sequence[str] = ()) -> str:
        """Of what an analysis reads: the shards, the cohorts and what else it names; changes when one comes or changes.

        It is of their contents: a copy of a run has the same.

        files: files of the run, or folders of them.
        """
        paths = [*self._paths]
        paths += [self.folder.cohort(size, step) for size, step in self.folder.cohorts()]
        for place in (self.folder.path / name for name in files):
            paths += [place] if place.is_file() else sorted(place.rglob("*.h5"))
        listing = "\n".join(f"{name} {digest}" for name, digest in digests(self.folder, paths).items())
        return hashlib.blake2b(listing.encode(), digest_size=16).hexdigest()


def _listed(keys: Sequence[ShardKey]) -> str:
    return ", ".join([*(key.label for key in keys[:3]), *(["…"] if len(keys) > 3 else [])])


def read_activations(shard: Container, site: str) -> Iterator[tuple[int | None, Tensor]]:
    """(head, `[samples, d]`) parts of one site in a shard, the whole first: see `phasescope.hooks.parts_of`.

    Heads that are kept as two factors are in coordinates of what they write: products of samples are the same. Each is
    made when it is asked for.
    """
    import torch

    from phasescope.hooks import Site, parts_of
    from phasescope.store import recorded_site

    found = recorded_site(shard, site)
    if found.matrices is None:
        yield from parts_of(Site.parse(site).component, torch.from_numpy(found.values))
        return
    yield None, torch.from_numpy(found.total())
    for head in range(len(found.matrices)):
        yield head, torch.from_numpy(found.coordinates(head))


def sample_weights(sequences: int, samples: int, resamples: int, seed: int) -> Tensor:
    """Bootstrap counts `[resamples, samples]`: whole sequences are drawn, with all their sampled positions."""
    from phasescope.measures import bootstrap_weights

    return bootstrap_weights(sequences, resamples, seed).repeat_interleave(samples // sequences, dim=1)


def as_table(rows: Sequence[Any], columns: dict[str, str]) -> Any:
    """A tidy table with exactly these columns and types, also where there are no rows."""
    import pandas as pd

    return pd.DataFrame(rows, columns=list(columns)).astype(columns)
