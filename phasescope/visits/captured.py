"""What a capture did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from phasescope.store import RunFolder
from phasescope.visits.checkpoint import Summary
from phasescope.visits.cohort import Comparison
from phasescope.visits.compare import Compared


@dataclass
class Captured:
    """What a capture did: visits made now, checkpoints that had a shard already, cohorts compared."""

    folder: RunFolder
    visits: list[Summary] = field(default_factory=list)
    cohorts: list[Comparison] = field(default_factory=list)
    compared: Compared = field(default_factory=Compared)
    already: int = 0
    seconds: float = 0.0

    @property
    def failed(self) -> list[Summary]:
        return [summary for summary in self.visits if summary.reason]

    @property
    def nothing_works(self) -> bool:
        """Whether there were visits, all of them failed, and no shard is there from before."""
        return bool(self.visits) and len(self.failed) == len(self.visits) and not self.already

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "visited": len(self.visits) - len(self.failed),
            "already": self.already,
            "failed": [{"checkpoint": s.key.label, "reason": s.reason} for s in self.failed],
            "cohorts": len(self.cohorts),
            "compared": self.compared.as_record(),
            "seconds": round(self.seconds, 3),
        }
