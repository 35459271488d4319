"""What one training of models predicted, as trends of tokens are found in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.trajectories.per_sequence import PerSequence

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray

    from phasescope.analyses.reader import RunReader
    from phasescope.store import Part, ShardKey

    Array = ndarray[Any, Any]


# Goes up when the same shards give other numbers.
_VERSION = 1
# Checkpoints without which there is no trend.
FEWEST = 3


@dataclass(frozen=True)
class Trajectories:
    """The outputs of one size and seed along training."""

    size: str
    seed: int
    steps: list[int]
    surprisal: Float[Array, "checkpoints sequences positions"]  # float32, as stored
    entropy: PerSequence


def outputs_of(reader: RunReader) -> Iterator[Trajectories]:
    """One size and seed at a time, so that memory does not grow with their number."""
    for size in reader.sizes:
        parts = parts_by_shard(reader, "trajectories", (_VERSION,), partial(_part, reader), sizes=[size])
        for seed, group in groupby(parts, key=lambda found: found[0].seed):
            known = [(key.step, part) for key, part in group if len(part["surprisal"])]
            if len(known) >= FEWEST:
                surprisal = np.stack([part["surprisal"] for _, part in known])
                sums, counts = (np.stack([part[name] for _, part in known]) for name in ("sums", "counts"))
                yield Trajectories(size, seed, [step for step, _ in known], surprisal, PerSequence(sums, counts))


def _part(reader: RunReader, key: ShardKey) -> Part:
    """Surprisal, and of each sequence the sum of its entropies, and how many they are; nothing without outputs."""
    with reader.folder.open_shard(key) as shard:
        if "outputs/surprisal" not in shard.names("outputs"):
            none = np.zeros((0, reader.inputs.context - 1), dtype=np.float32)
            return {"surprisal": none, "sums": np.zeros(0), "counts": np.zeros(0)}
        entropy = PerSequence.of(shard.read("outputs/entropy")[None])
        return {"surprisal": shard.read("outputs/surprisal"), "sums": entropy.sums[0], "counts": entropy.counts[0]}
