"""What those who capture share, in this process or in others: the inputs, what is recorded of them, and where to."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeWarning
from phasescope.store import RunFolder, ShardKey
from phasescope.store.carried import parcel_of, receive
from phasescope.store.files import Identity, identity_of, writing_for
from phasescope.suites.fetched import fetched
from phasescope.visits.checkpoint import Summary, key_of, visit
from phasescope.visits.cohort import Comparison, visit_cohort
from phasescope.visits.twins import Twin, written_down

if TYPE_CHECKING:
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs, Items

Fetched = Mapping[tuple[str, str, str], tuple[Path, set[str]]]
OF_COMPARISONS = ("outputs", "unembedding")
"""What comparisons read of shards."""


@dataclass(frozen=True)
class Known:
    """What of some checkpoints was fetched, and where it is; and why others are not to be had."""

    fetched: Fetched
    lost: Mapping[Checkpoint, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Visiting:
    """Visits to the checkpoints of one capture, and to its cohorts.

    Attributes:
        identity: which folder the run is, for a process that is not its writer but writes for that one.
        twins: the checkpoints whose weights are those of another.
        together: the checkpoints whose outputs are computed with those of the other seeds of their cohort.
    """

    folder: RunFolder
    identity: Identity
    inputs: Inputs
    probes: Probes
    behaviour: tuple[Items, ...]
    twins: Mapping[ShardKey, Twin] = field(default_factory=dict)
    together: frozenset[ShardKey] = frozenset()

    def visit(self, checkpoint: Checkpoint, known: Known) -> Summary:
        """Record what a checkpoint lacks."""
        key = key_of(checkpoint)
        if reason := known.lost.get(checkpoint):
            return Summary(key, reason=reason)
        with self._writing(known.fetched):
            waits = key in self.together
            return self._from_twin(key) or visit(
                checkpoint, self.inputs, self.probes, self.folder, self.behaviour, waits=waits
            )

    def compare(self, checkpoints: Sequence[Checkpoint], known: Known) -> Comparison | None:
        """Compute the KL between the seeds of a cohort, and what those say that wait for it.

        None where there is no KL: fewer than two of them are to be had.
        """
        for one, reason in known.lost.items():
            said = f"{one.label} is left out of the comparison: {reason}"
            warnings.warn(said, PhasescopeWarning, stacklevel=2)
        there = [one for one in checkpoints if one not in known.lost]
        if len(there) < 2 and not any(self.folder.waits(key_of(one)) for one in there):
            return None
        with self._writing(known.fetched):
            return visit_cohort(there, self.inputs, self.probes, self.folder)

    def at(self, folder: Path) -> Visiting:
        """The same for the run's folder as this machine sees it, or for another folder."""
        return replace(self, folder=RunFolder(folder), identity=identity_of(folder))

    def done_here(self, method: str, arguments: tuple[Any, ...]) -> Summary | None:
        """Of a checkpoint whose weights are another's, what comes of writing that down."""
        if method != "visit" or key_of(arguments[0]) not in self.twins:
            return None
        with self._writing({}):
            return self._from_twin(key_of(arguments[0]))

    def parcel(self, method: str, arguments: tuple[Any, ...]) -> dict[str, bytes]:
        """For a visit, what shows that something is there already; for a comparison, what it reads of the shards."""
        groups: tuple[str, ...] = ()
        if method == "compare":
            groups, paths = OF_COMPARISONS, [self.folder.shard(key_of(one)) for one in arguments[0]]
        else:
            key = key_of(arguments[0])
            paths = [self.folder.shard(key)]
            paths += [self.folder.scores(items.kind, items.name, key) for items in self.behaviour]
        return parcel_of(self.folder, paths, groups)

    def received(self, name: str, chunks: Iterable[bytes]) -> None:
        """Put a file that was made elsewhere into the run."""
        with self._writing({}):
            receive(self.folder.path / name, chunks)

    def _from_twin(self, key: ShardKey) -> Summary | None:
        """What comes of writing down another's shard and scores; None where that cannot be done."""
        if (twin := self.twins.get(key)) and written_down(key, twin, self.folder, self.behaviour):
            return Summary(key, bytes=self.folder.shard(key).stat().st_size)
        return None

    def _writing(self, there: Fetched) -> AbstractContextManager[None]:
        fetched.update(there)
        return writing_for(self.folder.path, self.identity)


def places_on_disk(checkpoints: Iterable[Checkpoint]) -> list[Path]:
    """Where checkpoints lie that are not on the hub, one of each size: where these are seen, so are the others."""
    found = {one.size: Path(one.location) for one in checkpoints if one.is_local}
    return [path for path in found.values() if path.exists()]


def fetched_of(checkpoints: Sequence[Checkpoint]) -> Fetched:
    """What this process knows to have been fetched of these checkpoints, so that others need not ask the hub."""
    places = {checkpoint.location for checkpoint in checkpoints if not checkpoint.is_local}
    return {key: found for key, found in fetched.items() if key[1] in places}
