"""How many dimensions do weights, circuits and activations use?

Effective rank (Roy & Vetterli 2007): exp of the entropy of the normalised singular values. Proportional: divided by the
largest rank possible (d_head for a circuit, as in "Tending Towards Stability", arXiv 2410.11451). Weights and circuits
are exact, so they have no interval; of activations the columns are centred first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table, read_activations
from phasescope.hooks.sites import CIRCUITS
from phasescope.store import Part, rows_as_part, rows_of

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Container, ShardKey

RANK = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "Int64", "component": "str", "kind": "str",
    "head": "Int64", "effective_rank": "float64", "proportional": "float64", "largest": "int64", "norm": "float64",
}  # fmt: skip
# What is of one shard.
_OWN = {name: kind for name, kind in RANK.items() if name not in ("size", "seed", "step")}
# Goes up when the same shards give other numbers.
_VERSION = 1


@question(
    "How many dimensions do weights, circuits and activations use?",
    [
        Table(
            "rank",
            "Effective and proportional rank of every weight matrix, circuit and site.",
            RANK,
            {"dimensions": "effective_rank largest", "share of the largest": "proportional", "Frobenius norm": "norm"},
            method="effective_rank",
        ),
    ],
    place=20,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `rank`: one row per size, seed, step, site and head."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    for key, part in parts_by_shard(reader, "rank", (_VERSION,), lambda key: _part(reader, key)):
        rows += [(key.size, key.seed, key.step, *row) for row in rows_of(part, _OWN)]
    return {"rank": as_table(rows, RANK)}


def _part(reader: RunReader, key: ShardKey) -> Part:
    with reader.folder.open_shard(key) as shard:
        return rows_as_part([*_weight_rows(shard), *_activation_rows(shard)], _OWN)


def _weight_rows(shard: Container) -> Iterator[tuple[Any, ...]]:
    import torch

    for name in shard.names("spectra"):
        attrs = shard.attrs_of(name)
        component = str(attrs["component"])
        kind = "circuit" if component in CIRCUITS else "weight"
        values = torch.from_numpy(shard.read(name))
        many = _numbers(values.reshape(-1, values.shape[-1]), int(attrs["largest"]))
        for head, numbers in enumerate(many):
            where = (name.removeprefix("spectra/"), attrs.get("layer"), component, kind)
            yield (*where, None if values.ndim == 1 else head, *numbers)


def _activation_rows(shard: Container) -> Iterator[tuple[Any, ...]]:
    from phasescope.hooks import Site
    from phasescope.measures import contrasts, singular_values
    from phasescope.store import site_shape

    for name in shard.names("activations"):
        site = Site.parse(name.removeprefix("activations/"))
        width = site_shape(shard, site.name)[-1]
        for head, values in read_activations(shard, site.name):
            centred = contrasts(values)
            largest = min(len(centred), values.shape[1] if head is None else width)
            [numbers] = _numbers(singular_values(centred)[None], largest)
            yield (site.name, site.layer, site.component, "activation", head, *numbers)


def _numbers(spectra: Tensor, largest: int) -> Iterator[tuple[float, float, int, float]]:
    """Of each spectrum."""
    from phasescope.measures import effective_rank_of

    for rank, norm in zip(effective_rank_of(spectra).tolist(), spectra.norm(dim=-1).tolist(), strict=True):
        yield rank, rank / largest, largest, norm
