"""Why a checkpoint is left out, in few words, for a mark in a figure."""

from __future__ import annotations

from collections.abc import Iterable

from phasescope.audit.finding import Finding
from phasescope.audit.repeated import RULE
from phasescope.store import ShardKey


def why_left_out(key: ShardKey, findings: Iterable[Finding]) -> str:
    """What a certain finding has against it: `same weights as step 143000`; "" where none has."""
    against = [one for one in findings if one.certainty == "certain" and key in one.suspects]
    if not against:
        return ""
    equal = next((one for one in against if one.rule == RULE), None)
    return against[0].sentence.rstrip(".") if equal is None else f"same weights as {_other(key, equal)}"


def _other(key: ShardKey, equal: Finding) -> str:
    """Which checkpoint it is equal to: the one that may be what its name says, else the next of its own training."""
    others = sorted(one for one in equal.checkpoints if one != key)
    others.sort(key=lambda one: (one in equal.suspects, (one.size, one.seed) != (key.size, key.seed)))
    if not others:  # what stands under no step's name
        return "main"
    other = others[0]
    if other.size != key.size:
        return other.label
    if other.seed != key.seed:
        return f"seed {other.seed}" + (f" at step {other.step}" if other.step != key.step else "")
    return f"step {other.step}"
