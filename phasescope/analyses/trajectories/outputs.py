"""What one training of models predicted, as trends of tokens are found in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.trajectories.per_sequence import PerSequence

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy import ndarray

    from phasescope.analyses.reader import RunReader

    Array = ndarray[Any, Any]


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
    for size, seed, keys in reader.trajectories():
        steps, surprisal, entropy = [], [], []
        for key in keys:
            with reader.folder.open_shard(key) as shard:
                if "outputs/surprisal" in shard.names("outputs"):
                    steps.append(key.step)
                    surprisal.append(shard.read("outputs/surprisal"))
                    entropy.append(PerSequence.of(shard.read("outputs/entropy")[None]))
        if len(steps) >= FEWEST:
            yield Trajectories(size, seed, steps, np.stack(surprisal), PerSequence.stacked(entropy))
