"""What a rule says of some checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from phasescope.store import ShardKey

Certainty = Literal["certain", "legitimate"]


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Attributes:
        rule: its name: `equal weights`.
        checkpoints: which are meant.
        sentence: what is so, for people.
        evidence: what it was seen by, and how often.
        certainty: `certain`: their names cannot all be right; `legitimate`: seen, and as it should be.
    """

    rule: str
    checkpoints: tuple[ShardKey, ...]
    sentence: str
    evidence: str
    certainty: Certainty

    @property
    def is_suspect(self) -> bool:
        return self.certainty != "legitimate"

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "rule": self.rule,
            "checkpoints": [{"size": key.size, "seed": key.seed, "step": key.step} for key in self.checkpoints],
            "sentence": self.sentence,
            "evidence": self.evidence,
            "certainty": self.certainty,
        }
