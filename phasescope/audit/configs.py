"""The rule about configurations: `config.json` or the tokenizer's files are not those of the other checkpoints.

Listings tell only that a file differs. Most differences are the version of a library; one in the vocabulary is not (52
revisions of trillionlabs/0.5B-Intermediate-Checkpoints name another than their weights have: disc. 1 there).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

_FILES = ("config.json", "tokenizer.json", "vocab.json", "merges.txt")


def other_configurations(suite: ListedSuite) -> Iterator[Finding]:
    """Of each size and seed and file, the checkpoints that have another than most."""
    last = last_steps(suite.of)
    for size, seed in last:
        for name in _FILES:
            hashes = {
                key: file.hash
                for key, listed in sorted(suite.of.items())
                if (key.size, key.seed) == (size, seed) and listed.listing is not None and listed.loaded
                for file in listed.listing.files
                if file.path == name
            }
            if len(versions := Counter(hashes.values())) > 1:
                usual = versions.most_common(1)[0][0]
                others = [key for key, of in hashes.items() if of != usual]
                yield _finding(words.model(size, [seed], last), name, others, len(versions))


def _finding(of: str, name: str, keys: list[ShardKey], versions: int) -> Finding:
    verb = words.verb(len(keys), "has", "have")
    return Finding(
        "another configuration",
        tuple(keys),
        f"{of}: {words.steps([key.step for key in keys])} {verb} another {name} than the "
        "other checkpoints: often no more than the version of a library.",
        f"{versions} versions of {name}, by git's blob id",
        "note",
    )
