"""How large are the gradients, and do they keep their direction?

As in "Tending Towards Stability" (arXiv 2410.11451), at every checkpoint and with its weights held still: the norm of a
batch's gradient, mean over batches; that norm over the norm of the weights; the effective rank of the mean gradient;
and the cosine of successive batches' gradients, mean over pairs. Intervals by a bootstrap over batches (over pairs for
the cosine); norm and rank of the mean gradient are one number, and have none. Beside these, the cosine of the mean
gradient with that of the checkpoint before, from sketches or, where matrices were kept, exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Table, question
from phasescope.analyses.reader import as_table
from phasescope.hooks.sites import CIRCUITS
from phasescope.store import Part, origin_of, parts_of, rows_as_part, rows_of

if TYPE_CHECKING:
    from jaxtyping import Float64
    from numpy.typing import NDArray
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import Container, ShardKey

GRADIENTS = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "Int64", "component": "str", "kind": "str",
    "head": "Int64", "norm": "float64", "low": "float64", "high": "float64", "mean_norm": "float64",
    "weight_norm": "float64", "ratio": "float64", "ratio_low": "float64", "ratio_high": "float64",
    "effective_rank": "float64", "proportional": "float64", "largest": "Int64", "cosine": "float64",
    "cosine_low": "float64", "cosine_high": "float64", "previous_step": "Int64", "cosine_previous": "float64",
    "cosine_previous_error": "float64", "level": "float64", "batches": "int64", "reason": "str",
}  # fmt: skip
_TURNED = {"site": "str", "cosine": "float64", "error": "float64"}
_UNKNOWN = (float("nan"), float("nan"))
# What is of one shard, and where among it what is of the one before too stands in the table.
_OWN = {
    name: kind
    for name, kind in GRADIENTS.items()
    if name not in ("size", "seed", "step", "previous_step", "cosine_previous", "cosine_previous_error")
}
_TURNS_AT = list(_OWN).index("level")
# Goes up when the same shards give other numbers.
_VERSION = 1


@question(
    "How large are the gradients, and do they keep their direction?",
    [
        Table(
            "gradients",
            "Norm, ratio to the weight, rank and cosines of every site's gradient; empty if none was captured.",
            GRADIENTS,
            {
                "Frobenius norm": "norm low high mean_norm weight_norm",
                "times the weight's norm": "ratio ratio_low ratio_high",
                "dimensions": "effective_rank largest",
                "share of the largest": "proportional",
                "cosine": "cosine cosine_low cosine_high cosine_previous cosine_previous_error",
                "steps": "previous_step",
            },
        ),
    ],
    needs="`--gradients`",
    place=50,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Table `gradients`: one row per size, seed, step, site and head; empty where no gradients were captured."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    asked = (_VERSION, options.seed, options.level, options.resamples)
    own = dict(parts_by_shard(reader, "gradients", asked, lambda key: _part(reader, key, options)))
    for size, seed, keys in reader.trajectories():
        there = [key for key in keys if len(own[key]["site"])]
        for key, before, turned in zip(there, [None, *there][: len(there)], _turns(reader, there), strict=True):
            for row in rows_of(own[key], _OWN):
                site, head = row[0], row[4]
                cosine, error = turned.get(site, _UNKNOWN) if head is None else _UNKNOWN
                previous = before.step if before is not None and np.isfinite(cosine) else None
                rows.append((size, seed, key.step, *row[:_TURNS_AT], previous, cosine, error, *row[_TURNS_AT:]))
    return {"gradients": as_table(rows, GRADIENTS)}


def _part(reader: RunReader, key: ShardKey, options: Options) -> Part:
    """What a shard alone says; no row where it has no gradients."""
    with reader.folder.open_shard(key) as shard:
        there = "gradients/loss" in shard.names("gradients")
        return rows_as_part(list(_rows(list(_parts(shard)), options)) if there else [], _OWN)


def _turns(reader: RunReader, keys: list[ShardKey]) -> list[dict[str, tuple[float, float]]]:
    """Of each checkpoint of one training how its gradients turned since the one before: see `_turned`."""
    if len(keys) < 2:
        return [{} for _ in keys]
    pairs = list(pairwise(keys))
    origins = [origin_of(_VERSION, *both) for both in pairwise(reader.digests(keys))]
    path = reader.folder.parts(f"gradients/{keys[0].size}/seed{keys[0].seed}/turns")
    parts = parts_of(
        path, origins, lambda places: (rows_as_part(_turned(reader, *pairs[place]), _TURNED) for place in places)
    )
    return [{}, *({site: (cosine, error) for site, cosine, error in rows_of(part, _TURNED)} for part in parts)]


@dataclass(frozen=True)
class _Part:
    """What a shard holds of one site, or of one head of it.

    norms: of each batch's gradient. products: with the batch before. spectrum: of the mean gradient, where it has one.
    """

    site: str
    layer: int | None
    component: str
    kind: str
    norms: Float64[NDArray[Any], "batches"]
    products: Float64[NDArray[Any], "pairs"]
    mean_norm: float
    weight_norm: float
    head: int | None = None
    spectrum: Float64[NDArray[Any], "k"] | None = None
    largest: int | None = None


def _parts(shard: Container) -> Iterator[_Part]:
    names = [name.removeprefix("gradients/norms/") for name in shard.names("gradients/norms")]
    pairs = set(shard.names("gradients/products"))
    for name in names:
        attrs = shard.attrs_of(f"gradients/norms/{name}")
        norms = shard.read(f"gradients/norms/{name}")
        products = shard.read(path) if (path := f"gradients/products/{name}") in pairs else norms[:0]
        component = str(attrs["component"])
        if name == "model":
            mean_norm, weight_norm = float(attrs["mean_norm"]), float(attrs["weight_norm"])
            yield _Part(name, None, component, "model", norms, products, mean_norm, weight_norm)
            continue
        spectrum, weights = shard.read(f"gradients/spectra/{name}"), shard.read(f"spectra/{name}")
        largest = int(shard.attrs_of(f"gradients/spectra/{name}")["largest"])
        layer = int(attrs["layer"]) if "layer" in attrs else None
        kind = "circuit" if component in CIRCUITS else "weight"
        part = _Part(name, layer, component, kind, norms, products, _norm(spectrum), _norm(weights))
        if norms.ndim == 1:
            yield replace(part, spectrum=spectrum, largest=largest)
            continue
        if kind == "weight":  # The heads of a circuit overlap in what they write to: their norms do not add up.
            # Keys and values that queries share are there once for each of these, and count once.
            own = slice(None, None, norms.shape[1] // int(attrs.get("key_values") or norms.shape[1]))
            yield replace(
                part,
                norms=np.sqrt((norms[:, own] ** 2).sum(1)),
                products=products[:, own].sum(1),
                mean_norm=_norm(spectrum[own]),
                weight_norm=_norm(weights[own]),
            )
        for head in range(norms.shape[1]):
            yield replace(
                part,
                head=head,
                norms=norms[:, head],
                products=products[:, head],
                mean_norm=_norm(spectrum[head]),
                weight_norm=_norm(weights[head]),
                spectrum=spectrum[head],
                largest=largest,
            )


def _norm(spectrum: NDArray[Any]) -> float:
    """The Frobenius norm of matrices, from their singular values."""
    return float(np.linalg.norm(spectrum))


def _rows(parts: list[_Part], options: Options) -> Iterator[tuple[Any, ...]]:
    from phasescope.measures import effective_rank_of

    norms = np.stack([part.norms for part in parts], axis=1)
    products = np.stack([part.products for part in parts], axis=1)
    with np.errstate(invalid="ignore"):  # A gradient of zero has no direction: 0 / 0.
        cosines = products / (norms[1:] * norms[:-1])
    norm, cosine = _mean_and_interval(norms, options), _mean_and_interval(cosines, options)
    for column, part in enumerate(parts):
        rank = np.nan if part.spectrum is None else float(effective_rank_of(part.spectrum))
        share = rank / part.largest if part.largest else np.nan
        scale = 1 / part.weight_norm if part.weight_norm else np.nan
        of_norm, of_cosine = norm[:, column], cosine[:, column]
        yield (
            *(part.site, part.layer, part.component, part.kind, part.head),
            *(*of_norm, part.mean_norm, part.weight_norm, *(of_norm * scale)),
            *(rank, share, part.largest, *of_cosine),
            *(options.level, len(norms), _reason(part)),
        )


def _reason(part: _Part) -> str:
    """Why numbers are missing; empty where none is that could be there."""
    if not part.norms.any():
        return "the gradient is zero"
    if not part.weight_norm:
        return "the weights are zero"
    return "" if len(part.norms) > 1 else "one batch alone"


def _mean_and_interval(
    values: Float64[NDArray[Any], "samples columns"], options: Options
) -> Float64[NDArray[Any], "3 columns"]:
    """Mean, low and high of every column, with the same resamples of the samples for all; NaN where there is none."""
    import torch

    from phasescope.measures import bootstrap_weights, interval

    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        mean = np.where(known, values, 0).sum(0) / known.sum(0)
    if len(values) < 2:
        return np.stack([mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)])
    weights = bootstrap_weights(len(values), options.resamples, options.seed).double()
    replicates: Tensor = (weights @ torch.from_numpy(np.where(known, values, 0))) / (
        weights @ torch.from_numpy(1.0 * known)
    )
    low, high = (edge.numpy() for edge in interval(replicates, torch.from_numpy(mean), options.level))
    few = known.sum(0) < 2
    return np.stack([mean, np.where(few, np.nan, low), np.where(few, np.nan, high)])


def _turned(reader: RunReader, before: ShardKey, now: ShardKey) -> list[tuple[str, float, float]]:
    """For each weight site the cosine of the mean gradient with that of another checkpoint, and its standard error."""
    from phasescope.measures import cosine, sketch_error

    found = []
    with reader.folder.open_shard(before) as one, reader.folder.open_shard(now) as other:
        kept = set(one.names("gradients/matrices")) & set(other.names("gradients/matrices"))
        for path in other.names("gradients/sketches"):
            site = path.removeprefix("gradients/sketches/")
            exact = f"gradients/matrices/{site}" in kept
            name = f"gradients/matrices/{site}" if exact else path
            value = cosine(*(shard.read(name).reshape(-1) for shard in (one, other)))
            size = other.shape(path)[0]
            exact = exact or size == int(other.attrs_of(path)["entries"])
            found.append((site, float(value), float(0 * value.abs() if exact else sketch_error(value, size))))
    return found
