"""The folder of a run: which file lies where, which shards there are, and who may write."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError
from phasescope.store.container import Container
from phasescope.store.files import remove_empty, remove_leftovers, sole_writer
from phasescope.store.manifests import read_manifest, write_manifest
from phasescope.store.opening import open_container
from phasescope.store.places import beginning, shard_path

_SHARD = re.compile(r"(?P<size>[^/]+)/seed(?P<seed>\d+)/step(?P<step>\d{8,})\.h5$")
_ITEMS = re.compile(r"(?P<kind>[^/]+)/(?P<name>[^/]+)/items\.h5$")
_SIZES = re.compile(r"seed(?P<seed>\d+)/step(?P<step>\d{8,})\.h5$")
_COHORT = re.compile(r"(?P<size>[^/]+)/step(?P<step>\d{8,})\.h5$")


@dataclass(frozen=True, order=True)
class ShardKey:
    """Which checkpoint a shard is of."""

    size: str
    seed: int
    step: int

    def __post_init__(self) -> None:
        if self.size in ("", ".", "..") or any(mark in self.size for mark in "/\\\0"):
            raise PhasescopeError(f"{self.size!r} is no name of a size: it would lead out of the folder of the run.")

    @property
    def label(self) -> str:
        return f"{self.size}/seed{self.seed}/step{self.step}"


@dataclass(frozen=True)
class RunFolder:
    """Paths in one run; a plain value that can be sent to another process.

    out: where goes what is computed from the run, if not into it: one that may only be read.
    """

    path: Path
    out: Path | None = None

    @property
    def made(self) -> Path:
        """The folder of what is computed from the run: results, reports, indices."""
        return self.out or self.path

    def here(self, text: str) -> str:
        """A text of a table with the place of this run: tables name it `RUN`, so that those of equal runs are equal."""
        return re.sub(r"\bRUN\b", lambda _: str(self.path), text)

    @property
    def manifest(self) -> Path:
        return self.path / "run.json"

    @property
    def inputs(self) -> Path:
        return self.path / "inputs.h5"

    @property
    def index(self) -> Path:
        return self.path / "run.h5"

    @property
    def evaluations(self) -> Path:
        return self.path / "evaluations.parquet"

    @property
    def digests(self) -> Path:
        return self.made / "results" / "digests.json"

    def shard(self, key: ShardKey) -> Path:
        return shard_path(self.path, key.size, key.seed, key.step)

    def waiting(self, key: ShardKey) -> Path:
        """A shard without what its model says, which is computed with what the other seeds of its cohort say."""
        return shard_path(self.path, key.size, key.seed, key.step, "waiting")

    def waits(self, key: ShardKey) -> bool:
        """Whether there is only such a one."""
        return self.waiting(key).is_file() and not self.shard(key).is_file()

    def remove_waiting(self) -> None:
        """Remove those beside whose shard a kill left them, and folders that hold none."""
        for found in list(self._matching("waiting", _SHARD)):
            key = ShardKey(found["size"], int(found["seed"]), int(found["step"]))
            if not self.waits(key):
                self.waiting(key).unlink()
        remove_empty(self.path / "waiting")

    def cohort(self, size: str, step: int) -> Path:
        return self.path / "cohorts" / size / f"step{step:08d}.h5"

    def items(self, kind: str, name: str) -> Path:
        """What a set of items is frozen in."""
        return self.path / "behaviour" / kind / name / "items.h5"

    def scores(self, kind: str, name: str, key: ShardKey) -> Path:
        """What a checkpoint scored on a set of items."""
        return self.items(kind, name).parent / key.size / f"seed{key.seed}" / f"step{key.step:08d}.h5"

    def draws(self, key: ShardKey) -> Path:
        """Losses of weights that were drawn around a checkpoint's."""
        return self.path / "draws" / key.size / f"seed{key.seed}" / f"step{key.step:08d}.h5"

    def step_comparison(self, key: ShardKey) -> Path:
        """What compares a checkpoint with the last of its training, and with the one before."""
        return self.path / "comparisons" / "steps" / key.size / f"seed{key.seed}" / f"step{key.step:08d}.h5"

    def size_comparison(self, seed: int, step: int) -> Path:
        """What compares the sizes that have a seed of that number, at one step."""
        return self.path / "comparisons" / "sizes" / f"seed{seed}" / f"step{step:08d}.h5"

    def result(self, name: str) -> Path:
        return self.made / "results" / f"{name}.parquet"

    def parts(self, name: str) -> Path:
        """What an analysis took from single shards, kept so that it need not do so again."""
        return self.made / "results" / "parts" / f"{name}.h5"

    def require_writable(self) -> None:
        """Raise `PhasescopeError` where what is computed cannot be kept, before hours are spent on it."""
        wanted = self.made / "results"
        first = next(folder for folder in (wanted, *wanted.resolve().parents) if folder.is_dir())
        effective = os.access in os.supports_effective_ids
        if not os.access(first, os.W_OK | os.X_OK, effective_ids=effective):
            raise PhasescopeError(
                f"{first} may not be written. Keep the tables elsewhere: phasescope analyse {self.path} --out FOLDER, "
                "and then --tables FOLDER to look at them."
            )

    def shards(self) -> list[ShardKey]:
        """The checkpoints that have a shard, in no particular order of sizes, by seed and step."""
        return sorted(
            ShardKey(found["size"], int(found["seed"]), int(found["step"]))
            for found in self._matching("checkpoints", _SHARD)
        )

    def cohorts(self) -> list[tuple[str, int]]:
        """(size, step) of each cohort file."""
        return sorted((found["size"], int(found["step"])) for found in self._matching("cohorts", _COHORT))

    def item_sets(self) -> list[tuple[str, str]]:
        """(kind, name) of each set of items that is frozen."""
        return sorted((found["kind"], found["name"]) for found in self._matching("behaviour", _ITEMS, "items.h5"))

    def lost_items(self, kind: str = "*") -> list[Path]:
        """Where sets of items (of a kind) should be that some checkpoint has scores on, and are not."""
        scored = {path.parents[2] for path in (self.path / "behaviour").glob(f"{kind}/*/*/seed*/step*.h5")}
        return [folder / "items.h5" for folder in sorted(scored) if not (folder / "items.h5").is_file()]

    def scored(self, kind: str, name: str) -> list[ShardKey]:
        """The checkpoints that have scores on a set of items, in the order of `shards`."""
        return sorted(
            ShardKey(found["size"], int(found["seed"]), int(found["step"]))
            for found in self._matching(f"behaviour/{kind}/{name}", _SHARD)
        )

    def drawn(self) -> list[ShardKey]:
        """The checkpoints around whose weights others were drawn."""
        return sorted(
            ShardKey(found["size"], int(found["seed"]), int(found["step"])) for found in self._matching("draws", _SHARD)
        )

    def step_comparisons(self) -> list[ShardKey]:
        """The checkpoints that have been compared with others of their training."""
        return sorted(
            ShardKey(found["size"], int(found["seed"]), int(found["step"]))
            for found in self._matching("comparisons/steps", _SHARD)
        )

    def size_comparisons(self) -> list[tuple[int, int]]:
        """(seed, step) of each comparison of sizes."""
        return sorted((int(found["seed"]), int(found["step"])) for found in self._matching("comparisons/sizes", _SIZES))

    def comparisons(self) -> list[Path]:
        """All files that compare steps or sizes."""
        steps = [self.step_comparison(key) for key in self.step_comparisons()]
        return steps + [self.size_comparison(seed, step) for seed, step in self.size_comparisons()]

    def containers(self) -> list[Path]:
        """All HDF5 files there are but the inputs and the index."""
        found = [self.shard(key) for key in self.shards()]
        found += [self.cohort(size, step) for size, step in self.cohorts()]
        for kind, name in self.item_sets():
            found += [self.items(kind, name), *(self.scores(kind, name, key) for key in self.scored(kind, name))]
        return found + [self.draws(key) for key in self.drawn()] + self.comparisons()

    def _matching(self, room: str, pattern: re.Pattern[str], files: str = "step*.h5") -> Iterator[re.Match[str]]:
        root = self.path / room
        start = beginning(root)
        for path in root.rglob(files):
            if found := pattern.fullmatch(path.as_posix().removeprefix(start)):
                yield found

    def open_shard(self, key: ShardKey) -> AbstractContextManager[Container]:
        return open_container(self.shard(key), "shard")

    def open_cohort(self, size: str, step: int) -> AbstractContextManager[Container]:
        return open_container(self.cohort(size, step), "cohort")

    def exists(self) -> bool:
        return self.manifest.is_file()

    def read_manifest(self) -> dict[str, Any]:
        """What was asked and with what; a folder that is no run, a newer or damaged one raises `PhasescopeError`."""
        if not self.path.is_dir():
            raise PhasescopeError(f"There is no run at {self.path}: no such folder. Make one with phasescope capture.")
        if not self.exists():
            raise PhasescopeError(
                f"{self.path} is not a run: it has no run.json. A run is made with phasescope capture SUITE --out RUN."
            )
        return read_manifest(self.manifest)

    def write_manifest(self, manifest: dict[str, Any]) -> None:
        """Write run.json, whole or not at all, with the digest of what it says."""
        write_manifest(self.manifest, manifest)

    @contextmanager
    def writing(self, wait: float = 0.0, *, new: bool = False) -> Iterator[None]:
        """The right to write into this run; a second writer at the same time waits so many seconds, then is refused.

        new: whether it may be one that does not exist yet. Else `PhasescopeError`, and no folder, where it is gone.

        What a killed writer left half-written is removed, but only where there is a run: nothing is touched in a
        folder that may be somebody else's.
        """
        with sole_writer(self.path, "phasescope", "--out", wait):
            if self.exists():
                remove_leftovers(self.path)
            elif not new:
                with suppress(OSError):  # not empty: then it was not made here
                    (self.path / ".lock").unlink()
                    self.path.rmdir()
                raise PhasescopeError(f"{self.path} was deleted or moved: put it back, or make a run there anew.")
            yield
