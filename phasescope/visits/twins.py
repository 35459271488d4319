"""Checkpoints with the same weights, as the hub lists them, as they lie in folders or as the trunk that branches share.

One is probed, the others are copied.

The shard of another is a shard like any: the same arrays under its own name and commit, with an attribute `same_as`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.store import Entry, RunFolder, Scalar, ShardKey, new_container, open_container
from phasescope.suites.trajectories import shared_with
from phasescope.visits.checkpoint import key_of

if TYPE_CHECKING:
    from phasescope.audit.listed import ListedSuite
    from phasescope.suites import Suite
    from phasescope.texts import Items

# What is written of each group and array by whoever writes it.
_MARKS = ("encoding", "encoding_version")


@dataclass(frozen=True)
class Twin:
    """What is known of a checkpoint whose weights, configuration and size are those of one before it in the suite.

    Attributes:
        of: that one.
        revision: its own; empty where it is that one's.
        commit: its own; empty where it is that one's.
    """

    of: ShardKey
    revision: str
    commit: str


def twins_in(suite: ListedSuite) -> dict[ShardKey, Twin]:
    """Of every checkpoint but the first of those that hold the same."""
    first: dict[tuple[str, str, str], ShardKey] = {}
    found = {}
    for key, digest in sorted(suite.digests().items(), key=lambda one: (one[0].size, one[0].step, one[0].seed)):
        listed = suite.of[key]
        of = first.setdefault((key.size, digest, listed.hash_of("config.json")), key)
        if of != key:
            found[key] = Twin(of, suite.checkpoints[key].revision or "", listed.commit)
    return found


def trunk_of(suite: Suite) -> dict[ShardKey, Twin]:
    """Of a trunk that branches share, the checkpoints of every branch but the first."""
    return {key_of(one): Twin(ShardKey(one.size, seed, one.step), "", "") for one, seed in shared_with(suite).items()}


def written_down(key: ShardKey, twin: Twin, folder: RunFolder, behaviour: Sequence[Items]) -> bool:
    """Write the shard and the scores of a checkpoint from those of its twin; False where these are not (all) there.

    What is damaged there is not taken: the checkpoint is then visited itself.
    """
    own: dict[str, Scalar] = {"seed": key.seed, "step": key.step, "same_as": twin.of.label}
    named: dict[str, Scalar] = {
        name: value for name, value in (("revision", twin.revision), ("commit", twin.commit)) if value
    }
    pairs = [(folder.shard(twin.of), folder.shard(key), "shard", named)]
    for items in behaviour:
        of, to = (folder.scores(items.kind, items.name, one) for one in (twin.of, key))
        pairs.append((of, to, "scores", {}))
    pairs = [pair for pair in pairs if not pair[1].is_file()]
    if not all(pair[0].is_file() for pair in pairs):
        return False
    with suppress(PhasescopeError):
        for of, to, kind, attrs in pairs:
            _copy(of, to, kind, {**own, **attrs})
        return True
    return False


def _copy(of: Path, to: Path, kind: str, attrs: Mapping[str, Scalar]) -> None:
    with open_container(of, kind) as there:
        kept = {name: value for name, value in there.attrs.items() if name not in (*_MARKS, "schema", "digest")}
        with new_container(to, kind, {**kept, **attrs}) as writer:
            for name in there.names():
                told = there.attrs_of(name)
                own = {key: value for key, value in told.items() if key not in _MARKS}
                writer.put(name, Entry(there.read(name), own, str(told["encoding"])))
