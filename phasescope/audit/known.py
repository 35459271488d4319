"""Faults that people have told of and that no listing shows: weights would have to be read.

Which commits they looked at is not known, so that each may have been mended since: they are told as likely, with source
and day. What listings do show (equal files, mixtures, what is missing) is found anew at every audit and is not here.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

RULE = "known fault"


@dataclass(frozen=True)
class Known:
    """What was told of some steps in a repository: from the first to the last of them."""

    repository: str
    first: int
    last: float
    what: tuple[str, str]
    """Of one step, and of several."""
    source: str
    day: str = ""
    """Empty where it is not known."""


_RESTART = ("goes on from a restart", "go on from a restart")
_ANOTHER = ("is of another initialisation than all later steps",) * 2
_ARS, _WEIGHT_SEEDS = "ErnestG4/ARS", "issue 203 of EleutherAI/pythia"
KNOWN = (
    Known("EleutherAI/pythia-410m-seed3", 64_001, math.inf, _RESTART, _ARS, "2026-10-03"),
    Known("EleutherAI/pythia-410m-seed4", 96_001, math.inf, _RESTART, _ARS, "2026-10-03"),
    Known("EleutherAI/pythia-160m-weight-seed1", 0, 0, _ANOTHER, _WEIGHT_SEEDS, "2026-07-21"),
    Known("EleutherAI/pythia-160m-weight-seed2", 0, 0, _ANOTHER, _WEIGHT_SEEDS, "2026-07-21"),
    Known(
        "stanford-crfm/arwen-gpt2-medium-x21",
        10,
        10,
        ("looks like one of about step 4000",) * 2,
        "issue 199 of stanford-crfm/mistral",
        "2023-07-04",
    ),
    Known(
        "bigscience/bloom-560m-intermediate",
        600_000,
        600_000,
        ("is broken (a perplexity of 320 322 after 71)",) * 2,
        "discussion 267 of bigscience/bloom",
    ),
)


def known_faults(suite: ListedSuite) -> Iterator[Finding]:
    """What people have told of checkpoints of this suite."""
    last = last_steps(suite.of)
    for known in KNOWN:
        found: dict[tuple[str, int], list[ShardKey]] = {}
        for key, checkpoint in sorted(suite.checkpoints.items()):
            if checkpoint.location == known.repository and known.first <= key.step <= known.last:
                found.setdefault((key.size, key.seed), []).append(key)
        for (size, seed), keys in found.items():
            steps = words.steps([key.step for key in keys])
            said = f"{words.model(size, [seed], last)}: {steps} {known.what[len(keys) > 1]}, as {known.source} told."
            evidence = f"told{f' on {known.day}' if known.day else ''}, of a commit that is not known"
            yield Finding(RULE, tuple(keys), said, evidence, "likely", tuple(keys))
