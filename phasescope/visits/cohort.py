"""One visit to a cohort: how far apart its seeds are, from their shards and unembedding matrices."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.store import Entry, MisplacedError, RunFolder, ShardKey, open_container, write_container
from phasescope.visits.checkpoint import key_of
from phasescope.visits.final_hidden import pairwise_kl_of
from phasescope.visits.unembedding import unembedding_on

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def visit_cohort(checkpoints: Sequence[Checkpoint], inputs: Inputs, probes: Probes, run: RunFolder) -> Comparison:
    """Compute KL(p_i ‖ p_j) for every token and ordered pair of the cohort's seeds; write the cohort's file.

    Reads the final hidden states from the shards, and the unembeddings from the shards that have them, else from the
    checkpoints. The file holds `/kl` `[seeds, seeds, sequences, positions]` in nats and `/seeds`.
    """
    import torch

    from phasescope.suites.device import resolve_device

    begun = time.perf_counter()
    device = resolve_device(probes.device)
    keys = [key_of(checkpoint) for checkpoint in checkpoints]
    with ExitStack() as stack:
        shards = [stack.enter_context(run.open_shard(key)) for key in keys]
        unembeddings = [
            unembedding_on(device, shard, checkpoint, probes.trust_remote_code)
            for shard, checkpoint in zip(shards, checkpoints, strict=True)
        ]
        kl = pairwise_kl_of(shards, unembeddings, inputs, device)
    size, step = keys[0].size, keys[0].step
    write_container(
        run.cohort(size, step),
        "cohort",
        {
            "kl": Entry(kl.numpy(), {"units": "nats", "axes": "seeds seeds sequences positions"}),
            "seeds": Entry(torch.tensor([key.seed for key in keys]).numpy()),
        },
        {
            "family": checkpoints[0].family,
            "size": size,
            "step": step,
            "inputs": inputs.hash,
            "shards": digests_of(keys, run),
        },
    )
    seeds = tuple(key.seed for key in keys)
    return Comparison(size, step, seeds, kl.shape[2] * kl.shape[3], time.perf_counter() - begun)


def digests_of(keys: Sequence[ShardKey], run: RunFolder) -> str:
    """The digests of shards, joined by blanks: what is computed from them is of these and no others."""
    found = []
    for key in keys:
        with open_container(run.shard(key), "shard") as shard:
            found.append(shard.digest)
    return " ".join(found)
