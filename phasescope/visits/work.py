"""What those who capture share, in this process or in others: the inputs, what is recorded of them, and where to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.store import RunFolder, ShardKey
from phasescope.store.files import Identity, writing_for
from phasescope.suites.fetched import fetched
from phasescope.visits.checkpoint import Summary, key_of, visit
from phasescope.visits.cohort import Comparison, visit_cohort
from phasescope.visits.twins import Twin, written_down

if TYPE_CHECKING:
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs, Items

Fetched = Mapping[tuple[str, str, str], tuple[Path, set[str]]]


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

    def visit(self, checkpoint: Checkpoint, there: Fetched) -> Summary:
        """Record what a checkpoint lacks. there: what of it was fetched, and where it is."""
        key = key_of(checkpoint)
        with self._writing(there):
            if (twin := self.twins.get(key)) and written_down(key, twin, self.folder, self.behaviour):
                return Summary(key, bytes=self.folder.shard(key).stat().st_size)
            waits = key in self.together
            return visit(checkpoint, self.inputs, self.probes, self.folder, self.behaviour, waits=waits)

    def compare(self, checkpoints: Sequence[Checkpoint], there: Fetched) -> Comparison | None:
        """Compute the KL between the seeds of a cohort, and what those say that wait for it."""
        with self._writing(there):
            return visit_cohort(checkpoints, self.inputs, self.probes, self.folder)

    def _writing(self, there: Fetched) -> AbstractContextManager[None]:
        fetched.update(there)
        return writing_for(self.folder.path, self.identity)


def fetched_of(checkpoints: Sequence[Checkpoint]) -> Fetched:
    """What this process knows to have been fetched of these checkpoints, so that others need not ask the hub."""
    places = {checkpoint.location for checkpoint in checkpoints if not checkpoint.is_local}
    return {key: found for key, found in fetched.items() if key[1] in places}
