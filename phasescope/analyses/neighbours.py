"""Does a token keep its nearest neighbours along training, and do seeds agree on them? (docs/analyses/neighbours.md)

From the activations that every capture keeps, and from embeddings where weights are kept. Mean share of the k nearest
neighbours by cosine that two states have in common, after Huh et al. 2024 (arXiv 2405.07987, equation 11). Intervals by
a bootstrap over sequences (of embeddings: over entries); beside each number the same of neighbours of shuffled samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.question import Curve, Option, Table, question
from phasescope.analyses.reader import as_table, read_activations
from phasescope.errors import BadArgumentError

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

NEIGHBOURS = {
    "size": "str", "seed": "int64", "step": "int64", "site": "str", "layer": "Int64", "component": "str",
    "against": "str", "overlap": "float64", "low": "float64", "high": "float64", "shuffled": "float64", "k": "int64",
    "samples": "int64", "level": "float64", "reason": "str",
}  # fmt: skip
MEANS = {
    "size": "str", "seed": "int64", "step": "int64", "against": "str", "overlap": "float64", "low": "float64",
    "high": "float64", "shuffled": "float64", "sites": "int64", "k": "int64", "samples": "int64", "level": "float64",
}  # fmt: skip
AGAINST = ("last", "previous", "seeds")
EMBEDDING = "embed.W_E"
# Groups of samples of which resamples are drawn; of more the mean is as good as normal.
_EXACT = 4096


def _neighbours(given: int) -> int:
    if given < 1:
        raise BadArgumentError(f"A sample has 1 nearest neighbour or more, not {given}. Try 10.")
    return given


@question(
    "Does a token keep its nearest neighbours along training?",
    [
        Table(
            "neighbours",
            "Share of each sample's nearest neighbours at a site that are its nearest at the last step, at the step "
            "before, and in the other seeds; `shuffled`: of neighbours of other samples.",
            NEIGHBOURS,
            {"share of neighbours": "overlap low high shuffled"},
        ),
        Table(
            "neighbours_means",
            "The mean of these over the sites of layers, with intervals.",
            MEANS,
            {"share of neighbours": "overlap low high shuffled"},
            curves=(
                Curve("overlap", "nearest neighbours kept", only=(("against", "previous"),), place=62),
                Curve("overlap", "nearest neighbours between seeds", only=(("against", "seeds"),), place=63),
            ),
        ),
    ],
    options=[Option("neighbours", "how many nearest neighbours.", 10, kind=int, check=_neighbours)],
    place=28,
    by_name=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `neighbours` (a row per size, seed, step, site and what it is compared with) and `neighbours_means`."""
    reader.require_shards()
    rows: list[tuple[Any, ...]] = []
    over_sites: dict[tuple[Any, ...], list[_Shared]] = {}
    for size in dict.fromkeys(key.size for key in reader.keys):
        sites = {key: list(_sites(reader, key)) for key in reader.keys if key.size == size}
        for site in dict.fromkeys(name for names in sites.values() for name in names):
            for one, against, shared in _of_site(reader, [key for key in sites if site in sites[key]], site, options):
                where = (one.key.size, one.key.seed, one.key.step)
                told = (*shared.told(options), options.neighbours, one.samples, options.level, shared.reason)
                rows.append((*where, *_about(site), against, *told))
                if site != EMBEDDING and not shared.reason:
                    over_sites.setdefault((*where, against), []).append(shared)
    ends = (options.neighbours, reader.inputs.sampled, options.level)
    means = [(*where, *_Shared.mean(each).told(options), len(each), *ends) for where, each in over_sites.items()]
    made = {"neighbours": as_table(rows, NEIGHBOURS), "neighbours_means": as_table(means, MEANS)}
    for table in made.values():
        if not rows:
            table.attrs["absent"] = "No activations of features were captured: choose some --sites, such as resid_post."
    return made


@dataclass(frozen=True)
class _Near:
    """The neighbours of one checkpoint's samples; None where there are none, and why."""

    key: ShardKey
    found: Int64[np.ndarray, "samples k"] | None
    samples: int
    reason: str


@dataclass(frozen=True)
class _Shared:
    """The share of neighbours in common.

    Attributes:
        means: of each sequence.
        wider: by how much their mean is less sure than of others (`phasescope.measures.shared_luck`).
        shuffled: of samples that do not match.
        reason: why there is none.
    """

    means: Float64[np.ndarray, "sequences"]
    wider: float
    shuffled: float
    reason: str

    @classmethod
    def mean(cls, several: list[_Shared]) -> _Shared:
        """Over sites of the same samples."""
        means = np.mean([one.means for one in several], axis=0)
        wider, shuffled = (float(np.mean([getattr(one, name) for one in several])) for name in ("wider", "shuffled"))
        return cls(means, wider, shuffled, "")

    def told(self, options: Options) -> tuple[float, ...]:
        """As the columns from `overlap` to `shuffled`."""
        mean = float(self.means.mean())
        low, high = (np.nan, np.nan) if self.reason else _interval(self.means, options)
        return mean, mean + self.wider * (low - mean), mean + self.wider * (high - mean), self.shuffled


def _sites(reader: RunReader, key: ShardKey) -> Iterator[str]:
    from phasescope.hooks import Site
    from phasescope.hooks.sites import ATTENDING, ROUTING

    with reader.folder.open_shard(key) as shard:
        if f"weights/{EMBEDDING}" in shard.names("weights"):
            yield EMBEDDING
    for name in reader.sites(key):
        if Site.parse(name).component not in (*ATTENDING, *ROUTING):
            yield name


def _of_site(
    reader: RunReader, keys: list[ShardKey], site: str, options: Options
) -> Iterator[tuple[_Near, str, _Shared]]:
    near = {key: _near(reader, key, site, options.neighbours) for key in keys}
    groups = None if site == EMBEDDING else reader.inputs.sequences
    for key, one in near.items():
        training = [other for other in near if other.seed == key.seed]
        place = training.index(key)
        compared = {
            "last": training[-1:] if key != training[-1] else [],
            "previous": training[place - 1 : place] if place else [],
            "seeds": [other for other in near if other.step == key.step and other.seed != key.seed],
        }
        for against, others in compared.items():
            if others:
                yield one, against, _shared(one, [near[other] for other in others], groups, options.seed)


def _about(site: str) -> tuple[str, int | None, str]:
    from phasescope.hooks import Site

    if site == EMBEDDING:
        return site, None, "embedding"
    parsed = Site.parse(site)
    return site, parsed.layer, parsed.component


def _near(reader: RunReader, key: ShardKey, site: str, k: int) -> _Near:
    import torch

    from phasescope.measures import nearest, why_no_neighbours

    with reader.folder.open_shard(key) as shard:
        if site == EMBEDDING:
            values = torch.from_numpy(shard.read(f"weights/{EMBEDDING}")[: reader.inputs.vocabulary])
        else:
            _, values = next(read_activations(shard, site))
    values = values.flatten(1)
    why = why_no_neighbours(values, k)
    return _Near(key, None if why else nearest(values, k).numpy(), len(values), why)


def _shared(one: _Near, others: list[_Near], groups: int | None, seed: int) -> _Shared:
    """What a checkpoint shares with others, the mean over these.

    groups: how many sequences samples are of; None: each is of its own.
    """
    from phasescope.measures import overlap, shared_luck

    known = [other.found for other in others if other.found is not None]
    if one.found is None or not known:
        return _Shared(np.full(2, np.nan), np.nan, np.nan, one.reason or others[0].reason)
    groups = groups or one.samples
    told = [shared_luck(one.found, found, groups) for found in known]
    shares = np.mean([mine.numpy() for mine, _ in told], axis=0).reshape(groups, -1).mean(1)
    order = np.random.default_rng(seed).permutation(one.samples)
    place = np.argsort(order)
    # The same neighbours under other names: those of sample order[i], called by where they stand now.
    shuffled = np.mean([overlap(one.found, place[found[order]]).numpy().mean() for found in known])
    return _Shared(shares, float(np.mean([wider for _, wider in told])), float(shuffled), "")


def _interval(means: Float64[np.ndarray, "sequences"], options: Options) -> tuple[float, float]:
    from phasescope.measures import clustered_mean_interval

    if len(means) > _EXACT:
        # Resamples of tens of thousands of entries would be gigabytes.
        from scipy.stats import norm

        half = float(norm.ppf((1 + options.level) / 2) * means.std(ddof=1) / np.sqrt(len(means)))
        return float(means.mean()) - half, float(means.mean()) + half
    _, low, high = clustered_mean_interval(means, seed=options.seed, level=options.level, resamples=options.resamples)
    return float(low), float(high)
