"""One visit to a cohort: how far apart its seeds are, from their shards and unembedding matrices.

Where shards wait for it, also what their models say, so that the logits of each are made once.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.probes.outputs import write_predictions
from phasescope.store import (
    Entry,
    MisplacedError,
    RunFolder,
    ShardKey,
    completed_container,
    open_container,
    write_container,
)
from phasescope.visits.checkpoint import key_of
from phasescope.visits.final_hidden import predictions_and_kl_of, runs_of
from phasescope.visits.unembedding import unembedding_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float32
    from torch import Tensor

    from phasescope.measures import Predictions
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs


@dataclass(frozen=True)
class Comparison:
    """What came of comparing the seeds of one cohort."""

    size: str
    step: int
    seeds: tuple[int, ...]
    tokens: int
    seconds: float


def is_current(checkpoints: Sequence[Checkpoint], run: RunFolder) -> bool:
    """Whether the cohort's file was made from exactly the shards that there are now."""
    size, step = checkpoints[0].size, checkpoints[0].step
    if not run.cohort(size, step).is_file():
        return False
    try:
        with run.open_cohort(size, step) as cohort:
            return cohort.attrs.get("shards") == digests_of([key_of(checkpoint) for checkpoint in checkpoints], run)
    except MisplacedError:
        return False


def visit_cohort(
    checkpoints: Sequence[Checkpoint], inputs: Inputs, probes: Probes, run: RunFolder
) -> Comparison | None:
    """Compute KL(p_i ‖ p_j) for every token and ordered pair of the cohort's seeds; write the cohort's file.

    Shards that wait are completed with what their models say, from the same logits. None where that is all there is to
    do: for one seed, or where the file is there.

    Reads the final hidden states from the shards, and the unembeddings from the shards that have them, else from the
    checkpoints. The file holds `/kl` `[seeds, seeds, sequences, positions]` in nats and `/seeds`.
    """
    from phasescope.suites.device import resolve_device

    begun = time.perf_counter()
    device = resolve_device(probes.device)
    keys = [key_of(checkpoint) for checkpoint in checkpoints]
    waiting = {key for key in keys if run.waits(key)}
    with ExitStack() as stack:
        shards = [
            stack.enter_context(open_container(run.waiting(key) if key in waiting else run.shard(key), "shard"))
            for key in keys
        ]
        unembeddings = [
            unembedding_on(device, shard, checkpoint, probes.trust_remote_code)
            for shard, checkpoint in zip(shards, checkpoints, strict=True)
        ]
        # Also where none waits: a KL that was stopped before it was written comes out the same to the last digit.
        said, kl = predictions_and_kl_of(shards, unembeddings, inputs, device)
    for key, found in zip(keys, said, strict=True):
        if key in waiting:
            _complete(key, found, inputs, run)
    if len(keys) < 2 or is_current(checkpoints, run):  # A shard that was lost came out as it was.
        return None
    _write(checkpoints, kl, inputs, run)
    seeds = tuple(key.seed for key in keys)
    return Comparison(keys[0].size, keys[0].step, seeds, kl.shape[2] * kl.shape[3], time.perf_counter() - begun)


def _complete(key: ShardKey, said: Sequence[Predictions], inputs: Inputs, run: RunFolder) -> None:
    with completed_container(run.waiting(key), run.shard(key)) as writer:
        for sequences, found in zip(runs_of(inputs), said, strict=True):
            write_predictions(writer, inputs, found, sequences.start)


def _write(
    checkpoints: Sequence[Checkpoint],
    kl: Float32[Tensor, "seeds seeds sequences positions"],
    inputs: Inputs,
    run: RunFolder,
) -> None:
    import numpy as np

    keys = [key_of(checkpoint) for checkpoint in checkpoints]
    size, step = keys[0].size, keys[0].step
    write_container(
        run.cohort(size, step),
        "cohort",
        {
            "kl": Entry(kl.numpy(), {"units": "nats", "axes": "seeds seeds sequences positions"}),
            "seeds": Entry(np.array([key.seed for key in keys])),
        },
        {
            "family": checkpoints[0].family,
            "size": size,
            "step": step,
            "inputs": inputs.hash,
            "shards": digests_of(keys, run),
        },
    )


def digests_of(keys: Sequence[ShardKey], run: RunFolder) -> str:
    """The digests of shards, joined by blanks: what is computed from them is of these and no others."""
    found = []
    for key in keys:
        with open_container(run.shard(key), "shard") as shard:
            found.append(shard.digest)
    return " ".join(found)
