"""What a rule says of some checkpoints."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from phasescope.store import ShardKey

Certainty = Literal["certain", "likely", "note", "legitimate"]
_ORDER: tuple[Certainty, ...] = ("certain", "likely", "note", "legitimate")


@dataclass(frozen=True)
class Finding:
    """What one rule found.

    Attributes:
        rule: its name: `equal weights`.
        checkpoints: which are meant.
        sentence: what is so, for people.
        evidence: what it was seen by, with numbers.
        certainty: `certain`: names and contents cannot both be right; `likely`: something else may look so;
            `note`: worth knowing, and mostly harmless; `legitimate`: seen, and as it should be.
        suspects: those of the checkpoints that are not to be believed. Where several hold the same and one of them may
            be right, that one is not among them.
    """

    rule: str
    checkpoints: tuple[ShardKey, ...]
    sentence: str
    evidence: str
    certainty: Certainty
    suspects: tuple[ShardKey, ...] = ()

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Finding:
        """What `as_record` made. Raises KeyError or TypeError for what it did not."""
        checkpoints, suspects = (tuple(ShardKey(**key) for key in record[name]) for name in ("checkpoints", "suspects"))
        return cls(record["rule"], checkpoints, record["sentence"], record["evidence"], record["certainty"], suspects)

    @property
    def is_suspect(self) -> bool:
        """Whether it is a fault, certain or likely."""
        return self.certainty in ("certain", "likely")

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "rule": self.rule,
            "checkpoints": [_plain(key) for key in self.checkpoints],
            "suspects": [_plain(key) for key in self.suspects],
            "sentence": self.sentence,
            "evidence": self.evidence,
            "certainty": self.certainty,
        }


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """What is certain first, what is as it should be last."""
    return sorted(findings, key=lambda one: (_ORDER.index(one.certainty), one.checkpoints))


def left_out(findings: Iterable[Finding]) -> set[ShardKey]:
    """The checkpoints that a certain finding says are not what their names say: analyses leave these out."""
    return {key for finding in findings if finding.certainty == "certain" for key in finding.suspects}


def _plain(key: ShardKey) -> dict[str, Any]:
    return {"size": key.size, "seed": key.seed, "step": key.step}
