"""Rules about what changed on the hub: a repository that was renamed, revisions that hold other weights than before.

A name may be given to another training (`EleutherAI/pythia-14m` and `-31m`, 2026-02-27: model cards), and a branch may
be mended. What a revision held before is known where it was listed before, on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite, digest_of
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey


def renamed(suite: ListedSuite) -> Iterator[Finding]:
    """Repositories that the hub answers for under another name."""
    for asked, answered in suite.renamed.items():
        keys = tuple(sorted(key for key, one in suite.checkpoints.items() if one.location == asked))
        yield Finding(
            "renamed repository",
            keys,
            f"{asked} is called {answered} now: ask for it by that name, for the old one may be given to another.",
            f"the hub answers for {asked} as {answered}",
            "note",
        )


def replaced(suite: ListedSuite) -> Iterator[Finding]:
    """Checkpoints that hold other weights than when they were listed before: mended, or of another training."""
    last = last_steps(suite.of)
    for model in last:
        changed: list[ShardKey] = []
        for key, before in sorted(suite.before.items()):
            old, new = digest_of(before.loaded), digest_of(suite.of[key].loaded)
            same_files = set(before.loaded) == set(suite.of[key].loaded)  # else it may be a conversion
            if (key.size, key.seed) == model and old and new and old != new and same_files:
                changed.append(key)
        if changed:
            first = changed[0]
            yield Finding(
                "replaced since it was listed",
                tuple(changed),
                f"{words.checkpoints(changed, last)} {words.verb(len(changed), 'holds', 'hold')} other weights than "
                "when listed before: mended since, or another training under the same name. What was captured before "
                "is of those.",
                f"commit {suite.before[first].commit[:12]} before, {suite.of[first].commit[:12]} now, of {first.label}",
                "note",
            )
