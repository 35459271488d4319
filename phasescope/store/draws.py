"""Losses of weights that were drawn around those of a checkpoint, as a run keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.store.folder import RunFolder, ShardKey
from phasescope.store.opening import open_container
from phasescope.store.writer import Entry, write_container

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float

    from phasescope.store.contents import Scalar

_KIND, _LOSSES, _STARTS = "draws", "losses/", "starts/"


@dataclass(frozen=True, eq=False)
class Traces:
    """Losses along chains of draws, with some of the weights free.

    Attributes:
        start: nats per token, of the checkpoint itself, on all that it reads: devinterp's `init_loss`.
        starts: `[chains, draws]`, nats per token, of the checkpoint on the batch that a draw reads.
        losses: `[chains, draws]`, nats per token, of the draw on that batch; NaN from where a chain diverged.
    """

    start: float
    starts: Float[np.ndarray, "chains draws"]
    losses: Float[np.ndarray, "chains draws"]


def read_draws(folder: RunFolder, key: ShardKey) -> tuple[dict[str, Any], dict[str, Traces]]:
    """How weights were drawn around a checkpoint, and by what was free the losses that they had."""
    with open_container(folder.draws(key), _KIND) as kept:
        found = {
            name.removeprefix(_LOSSES): Traces(
                float(kept.attrs_of(name)["start"]), kept.read(name.replace(_LOSSES, _STARTS)), kept.read(name)
            )
            for name in kept.names("losses")
        }
        return json.loads(str(kept.attrs["sampling"])), found


def keep_draws(
    folder: RunFolder,
    key: ShardKey,
    sampling: Mapping[str, Any],
    traces: Mapping[str, Traces],
    about: Mapping[str, Scalar],
) -> None:
    """Write what `read_draws` reads, whole or not at all.

    sampling: how weights were drawn. about: other attributes: the hash of the inputs, who drew.
    """
    axes = {"axes": "chain, draw", "units": "nats per token"}
    entries = {f"{_LOSSES}{name}": Entry(one.losses, {**axes, "start": one.start}) for name, one in traces.items()}
    entries |= {f"{_STARTS}{name}": Entry(one.starts, axes) for name, one in traces.items()}
    place: dict[str, Scalar] = {"size": key.size, "seed": key.seed, "step": key.step}
    write_container(folder.draws(key), _KIND, entries, {**place, "sampling": json.dumps(dict(sampling)), **about})
