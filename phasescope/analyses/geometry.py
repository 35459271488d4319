"""What shape has the cloud of activations of each site? (docs/analyses/geometry.md)

From the activations that every capture keeps. Intervals by a bootstrap over sequences; beside each number stands the
same of activations whose features come from different samples each, which share nothing but their distributions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table, read_activations, sample_weights
from phasescope.console import counted
from phasescope.store import Part, rows_as_part, rows_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.hooks import Site
    from phasescope.store import ShardKey

    # The estimate, and that of each resample.
    Told = tuple[Tensor, Tensor]

GEOMETRY = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "int64", "component": "str",
    "head": "Int64", "measure": "str", "value": "float64", "low": "float64", "high": "float64", "shuffled": "float64",
    "samples": "int64", "level": "float64", "reason": "str",
}  # fmt: skip
# What is of one shard.
_SHARDS = {name: kind for name, kind in GEOMETRY.items() if name not in ("size", "seed", "step")}
# Goes up when the same shards give other numbers.
_VERSION = 3
_NEURONS = "mlp_post"
_FEWEST = 4
# Each sample's own number: shuffling features says nothing of these.
_OF_NEURONS = ("active_share", "dead_share")
_OWN = ("norm", *_OF_NEURONS)


@question(
    "What shape has the cloud of activations of each site?",
    [
        Table(
            "geometry",
            "Dimensions, anisotropy, sparsity and norm of each site per size, seed and step, with intervals; "
            "`shuffled`: the same where features come from different samples.",
            GEOMETRY,
            {"as `measure` says": "value low high shuffled"},
        )
    ],
    place=27,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `geometry`: one row per size, seed, step, site and measure."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    inputs = reader.inputs
    weights = sample_weights(inputs.sequences, inputs.sampled, options.resamples, options.seed).double()
    asked = (_VERSION, options.resamples, options.seed, options.level)
    for key, part in parts_by_shard(reader, "geometry", asked, lambda key: _part(reader, key, weights, options)):
        rows += [(key.size, key.seed, key.step, *row) for row in rows_of(part, _SHARDS)]
    table = as_table(rows, GEOMETRY)
    if table.empty:
        table.attrs["absent"] = "No activations of features were captured: choose some --sites, such as resid_post."
    return {"geometry": table}


def _part(reader: RunReader, key: ShardKey, weights: Tensor, options: Options) -> Part:
    from phasescope.hooks import Site
    from phasescope.hooks.sites import ATTENDING, ROUTING

    rows: list[tuple[Any, ...]] = []
    with reader.folder.open_shard(key) as shard:
        for site in map(Site.parse, reader.sites(key)):
            if site.component not in (*ATTENDING, *ROUTING):
                _, whole = next(read_activations(shard, site.name))
                rows += _rows(site, whole, reader.inputs.sequences, weights, options)
    return rows_as_part(rows, _SHARDS)


def _rows(site: Site, values: Tensor, sequences: int, weights: Tensor, options: Options) -> Iterator[tuple[Any, ...]]:
    import torch

    from phasescope.measures import interval

    measures = {name: tell for name, tell in _MEASURES.items() if site.component == _NEURONS or name not in _OF_NEURONS}
    where = (site.name, site.layer, site.component, None)
    if len(values) < _FEWEST or sequences < 2:
        few = f"{counted(len(values), 'sample')} of {counted(sequences, 'sequence')} are too few"
        for measure in measures:
            yield (*where, measure, *[float("nan")] * 4, len(values), options.level, few)
        return
    values = values.double()
    mixed = values.gather(0, _orders(*values.shape, options.seed))
    told = [tell(values, weights) for tell in measures.values()]
    estimates, drawn = torch.stack([estimate for estimate, _ in told]), torch.stack([drawn for _, drawn in told], 1)
    low, high = interval(drawn, estimates, options.level)
    for number, (measure, tell) in enumerate(measures.items()):
        shuffled = float("nan") if measure in _OWN else float(tell(mixed, weights[:1])[0])
        reason = "" if bool(estimates[number].isfinite()) else "the activations have no variance, or copies only"
        numbers = (float(part[number]) for part in (estimates, low, high))
        yield (*where, measure, *numbers, shuffled, len(values), options.level, reason)


@lru_cache(maxsize=8)
def _orders(samples: int, features: int, seed: int) -> Tensor:
    """An order of the samples for every feature."""
    import torch

    return torch.rand((samples, features), generator=torch.Generator().manual_seed(seed)).argsort(0)


def _participation(values: Tensor, weights: Tensor) -> Told:
    from phasescope.measures import participation_ratio

    return participation_ratio(values), participation_ratio(values, weights)


def _dimension(values: Tensor, weights: Tensor) -> Told:
    from phasescope.measures import intrinsic_dimension, two_nn_ratios

    ratios = two_nn_ratios(values)
    return intrinsic_dimension(ratios), intrinsic_dimension(ratios, weights)


def _anisotropy(values: Tensor, weights: Tensor) -> Told:
    from phasescope.measures import mean_cosine

    return mean_cosine(values), mean_cosine(values, weights)


def _mean(of_sample: str) -> Callable[[Tensor, Tensor], Told]:
    """The mean over samples of a measure of each."""

    def tell(values: Tensor, weights: Tensor) -> Told:
        from phasescope import measures

        numbers = values.norm(dim=1) if of_sample == "norm" else getattr(measures, of_sample)(values)
        return numbers.mean(), weights @ numbers / weights.sum(1)

    return tell


def _dead(values: Tensor, weights: Tensor) -> Told:
    from phasescope.measures import dead_share

    moved = (weights > 0).double() @ (values > 0).double()
    return dead_share(values), (moved == 0).double().mean(1)


_MEASURES: dict[str, Callable[[Tensor, Tensor], Told]] = {
    "participation_ratio": _participation,
    "intrinsic_dimension": _dimension,
    "anisotropy": _anisotropy,
    "gini": _mean("gini"),
    "hoyer": _mean("hoyer"),
    "norm": _mean("norm"),
    "active_share": _mean("active_share"),
    "dead_share": _dead,
}
