"""Which experts the sampled tokens of one training went to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.reader import RunReader

if TYPE_CHECKING:
    from jaxtyping import Bool, Float64

    from phasescope.analyses.options import Options


@dataclass(frozen=True, eq=False)
class Routing:
    """Which experts of one layer the samples of one training went to."""

    size: str
    seed: int
    layer: int
    steps: list[int]
    chosen: Bool[np.ndarray, "steps sequences k experts"]
    positions: np.ndarray

    @classmethod
    def read(cls, reader: RunReader, size: str, seed: int, layer: int) -> Routing | None:
        steps, found, positions = [], [], reader.inputs.positions
        for step in reader.steps(size, seed):
            with reader.folder.open_shard(reader.key(size, seed, step)) as shard:
                name = f"activations/{_site(layer)}"
                if name in shard.names("activations"):
                    steps.append(step)
                    found.append(shard.read(name).reshape(*positions.shape, -1) != 0)
        return cls(size, seed, layer, steps, np.stack(found), positions) if found else None

    @property
    def experts(self) -> int:
        return int(self.chosen.shape[-1])

    @property
    def counts(self) -> Float64[np.ndarray, "steps sequences experts"]:
        """How often each expert was chosen in each sequence."""
        counts: Float64[np.ndarray, "steps sequences experts"] = self.chosen.sum(2, dtype=np.float64)
        return counts


def _site(layer: int) -> str:
    from phasescope.hooks import Site

    return Site(layer, "routed").name


def layers_with_experts(reader: RunReader, size: str) -> list[int]:
    """The layers that have choices of experts, in the first shard of a size."""
    from phasescope.hooks import Site

    first = next(key for key in reader.keys if key.size == size)
    sites = [Site.parse(name) for name in reader.sites(first)]
    return [site.layer for site in sites if site.component == "routed"]


def weights_of(sequences: int, options: Options) -> Float64[np.ndarray, "resamples sequences"]:
    """How often each sequence is drawn in each resample; NaN of one, which says nothing of how they differ."""
    from phasescope.measures import bootstrap_weights

    weights = bootstrap_weights(sequences, options.resamples, options.seed).numpy().astype(np.float64)
    return weights if sequences > 1 else np.full_like(weights, np.nan)
