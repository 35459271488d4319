"""A run as labelled arrays: `run.to_xarray()`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import require_library

if TYPE_CHECKING:
    from xarray import Dataset

    from phasescope.analyses import RunReader
    from phasescope.analyses.choosing import Trajectory
    from phasescope.store import Container

_OUTPUTS = ("surprisal", "entropy")


def to_xarray(reader: RunReader, size: str, sites: Sequence[str], trajectories: Sequence[Trajectory]) -> Dataset:
    """Variables for components and outputs, over seeds and steps; NaN where a checkpoint lacks something."""
    require_library("xarray", "export", "A run as labelled arrays")
    import xarray

    from phasescope.hooks import Site

    seeds = [seed for _, seed, _ in trajectories]
    steps = sorted({key.step for _, _, keys in trajectories for key in keys})
    places = [Site.parse(name) for name in sites]
    layers = sorted({site.layer for site in places})
    arrays: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]] = {}
    for row, (_, _, keys) in enumerate(trajectories):
        for key in keys:
            at = (row, steps.index(key.step))
            with reader.folder.open_shard(key) as shard:
                for site in places:
                    name, dims = f"activations/{site.name}", ("seed", "step", "layer", *_axes(shard, site.name))
                    values = shard.read(name)
                    array = _variable(arrays, site.component, dims, (len(seeds), len(steps), len(layers)), values)
                    array[(*at, layers.index(site.layer))] = values
                for output in _OUTPUTS:
                    if f"outputs/{output}" in shard.names("outputs"):
                        values, dims = shard.read(f"outputs/{output}"), ("seed", "step", "window", "predicted")
                        _variable(arrays, output, dims, (len(seeds), len(steps)), values, units="nats")[at] = values
    inputs = reader.inputs
    each = inputs.positions.shape[1]
    sequence, position = np.repeat(np.arange(inputs.sequences), each), inputs.positions.ravel()
    coordinates = {
        "seed": seeds, "step": steps, "layer": layers, "predicted": np.arange(1, inputs.context),
        "sequence": ("sample", sequence), "position": ("sample", position),
        "token": ("sample", inputs.tokens[sequence, position]),
    }  # fmt: skip
    about = {"family": str(reader.manifest["family"]), "size": size, "inputs": inputs.hash}
    return xarray.Dataset(arrays, coordinates, about)


def _axes(shard: Container, site: str) -> tuple[str, ...]:
    """What the axes of a site's array are called: `sample`, `d_model`; `head` of what has heads."""
    named = str(shard.attrs_of(f"activations/{site}")["axes"]).split()
    return tuple({"samples": "sample", "heads": "head"}.get(name, name) for name in named)


def _variable(
    arrays: dict[str, tuple[tuple[str, ...], Any, dict[str, str]]],
    name: str,
    dims: tuple[str, ...],
    outer: tuple[int, ...],
    values: Any,
    units: str = "activation",
) -> Any:
    """The array of a variable, made when it is first written into."""
    if name not in arrays:
        arrays[name] = (dims, np.full((*outer, *values.shape), np.nan, np.float32), {"units": units})
    return arrays[name][1]
