"""How close is each layer to its final state, and when does it settle?

Linear CKA (Kornblith et al. 2019) of a site's activations with those of the same site at the last step that was
captured, biased as in "Tending Towards Stability" (arXiv 2410.11451) and debiased (Song et al. 2012). Intervals by a
bootstrap over sequences, the same resamples at every step, so that a settling step has an interval too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.convergence.columns import CONVERGENCE, SETTLING
from phasescope.analyses.convergence.resamples import kept_resamples, together
from phasescope.analyses.reader import as_table, read_activations, sample_weights
from phasescope.errors import BadArgumentError
from phasescope.store import Part, origin_of, parts_of

if TYPE_CHECKING:
    import torch
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

# Goes up when the same shards give other numbers.
_VERSION = 4
# Cached final states are what takes memory: a [samples, samples] matrix each, and its products with the resamples.
_CACHE_BYTES = 1 << 30


@dataclass(frozen=True)
class Curve:
    """CKA to the final state of one part of one site along training, with bootstrap replicates."""

    site: str
    head: int | None
    cka: Tensor  # [steps]
    debiased: Tensor  # [steps]
    replicates: Tensor  # [resamples, steps]
    debiased_replicates: Tensor  # [resamples, steps]
    shuffled: Tensor  # [steps]
    samples: int
    sequences: int
    reasons: list[str]
    level: float

    @cached_property
    def drawn(self) -> Tensor:
        """The replicates, moved and spread as for intervals of CKA: drawing rows twice shifts CKA as a whole."""
        from phasescope.measures import cka_replicates

        return cka_replicates(self.replicates, self.cka, self.sequences, level=self.level)

    @cached_property
    def bounds(self) -> tuple[Tensor, Tensor]:
        """Low and high of the CKA at each step."""
        from phasescope.measures.cka_intervals import around

        return around(self.cka, self.drawn, self.level)


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `convergence` (one row per size, seed, step, site and head) and `settling` (one per τ instead of step);
    `convergence_resamples`: how the texts move whole sites (see there).
    """
    from phasescope.hooks import Site

    reader.require_shards()
    convergence: list[tuple[Any, ...]] = []
    settling: list[tuple[Any, ...]] = []
    resamples: list[DataFrame] = []
    for size, seed, keys in reader.trajectories():
        steps = [key.step for key in keys]
        for curve in _curves(reader, keys, options):
            site = Site.parse(curve.site)
            where = (site.name, site.layer, site.component, curve.head)
            convergence += [(size, seed, *row) for row in _convergence_rows(curve, steps, where, options)]
            settling += [(size, seed, *where, *row) for row in settling_rows(curve, steps, options)]
            if curve.head is None:
                resamples.append(kept_resamples(curve.replicates, size, seed, steps, site.name))
    return {
        "convergence": as_table(convergence, CONVERGENCE),
        "settling": as_table(settling, SETTLING),
        "convergence_resamples": together(resamples),
    }


def _curves(reader: RunReader, keys: Sequence[ShardKey], options: Options) -> Iterator[Curve]:
    from phasescope.measures.cka import MOST_EXACT

    sites = reader.sites(keys[-1])
    if not sites:
        return
    samples = reader.inputs.sampled
    with reader.folder.open_shard(keys[-1]) as shard:
        shapes = [shard.shape(f"activations/{site}") for site in sites]
    most_parts = max(shape[1] + 1 if len(shape) > 2 else 1 for shape in shapes)
    kept = 12 * samples * min(samples, MOST_EXACT) + 64 * samples * options.resamples
    at_once = max(_CACHE_BYTES // (kept * most_parts), 1)
    for first in range(0, len(sites), at_once):
        yield from _curves_of(reader, keys, sites[first : first + at_once], options)


def _curves_of(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], options: Options) -> Iterator[Curve]:
    """The curves of a few sites, from what is kept of each step and what is made now."""
    import torch

    sequences, samples = reader.inputs.sequences, reader.inputs.sampled
    digests = reader.digests(keys)
    asked = (_VERSION, list(sites), sequences, samples, options.resamples, options.seed)
    path = reader.folder.parts(f"convergence/{keys[-1].size}/seed{keys[-1].seed}/{sites[0]}")
    points = parts_of(
        path,
        [origin_of(*asked, digest, digests[-1]) for digest in digests],
        lambda places: _points(reader, [keys[place] for place in places], keys[-1], sites, options),
    )
    for i, (site, head) in enumerate(zip(points[-1]["sites"].tolist(), points[-1]["heads"].tolist(), strict=True)):
        cka, debiased, shuffled = (
            torch.from_numpy(np.stack([point["cka"][i, k] for point in points])) for k in range(3)
        )
        replicates, debiased_replicates = (
            torch.from_numpy(1 - np.stack([point["short"][i, k] for point in points], -1).astype(np.float64))
            for k in range(2)
        )
        reasons = [str(point["reasons"][i]) for point in points]
        of = None if head < 0 else head
        drawn = (replicates, debiased_replicates)
        yield Curve(site, of, cka, debiased, *drawn, shuffled, samples, sequences, reasons, options.level)


def _points(
    reader: RunReader, keys: Sequence[ShardKey], last: ShardKey, sites: Sequence[str], options: Options
) -> Iterator[Part]:
    """What is asked of each shard: it is opened once, every array read once.

    `cka` `[parts, 3]`: biased, debiased, shuffled. `short` `[parts, 2, resamples]`: what replicates (biased, debiased)
    lack to 1, in float32: near 1, where it matters, to the same digits.
    """
    import torch

    from phasescope.measures import Draws, FinalState, State

    sequences, device = reader.inputs.sequences, _device(options.device)
    draws = Draws(sample_weights(sequences, reader.inputs.sampled, options.resamples, options.seed), device)
    with reader.folder.open_shard(last) as shard:
        final: dict[tuple[str, int | None], FinalState] = {
            (site, head): FinalState(values.to(device))
            for site in sites
            for head, values in read_activations(shard, site)
        }
    for key in keys:
        numbers, replicates, reasons = [], [], []
        with reader.folder.open_shard(key) as shard:
            for site in sites:
                for head, values in read_activations(shard, site):
                    compared, state = final[site, head], State(values.to(device))
                    biased, debiased = compared.both(state)
                    numbers.append(torch.stack([biased, debiased, compared.shuffled(state, sequences)]))
                    replicates.append(torch.stack(compared.resampled(state, draws)))
                    reasons.append(_reason(values, float(biased)))
        yield {
            "sites": np.array([site for site, _ in final], dtype=str),
            "heads": np.array([-1 if head is None else head for _, head in final]),
            "cka": torch.stack(numbers).cpu().numpy(),
            "short": (1 - torch.stack(replicates)).float().cpu().numpy(),
            "reasons": np.array(reasons, dtype=str),
        }


def _device(name: str) -> torch.device:
    import torch

    from phasescope.suites.device import resolve_device

    # CKA needs float64, which Apple's GPUs do not have.
    found = resolve_device(name)
    if found == "mps":
        if name != "auto":
            raise BadArgumentError("CKA is computed in float64, which mps does not have. Leave out --device.")
        found = "cpu"
    return torch.device(found)


def _reason(values: Tensor, cka: float) -> str:
    """Why there is no CKA, in words; "" where there is one."""
    if not math.isnan(cka):
        return ""
    if not bool(values.isfinite().all()):
        return "activations are not finite"
    if values.shape[0] < 2:
        return "one sample has no variance"
    if bool((values == values[0]).all()):
        return "no variance at this step"
    return "no variance at the last step"


def _convergence_rows(
    curve: Curve, steps: Sequence[int], where: tuple[Any, ...], options: Options
) -> Iterator[tuple[Any, ...]]:
    import torch

    from phasescope.measures import cka_interval

    debiased = cka_interval(
        curve.debiased_replicates, curve.debiased, curve.sequences, level=options.level, debiased=True
    )
    numbers = torch.stack([curve.cka, *curve.bounds, curve.debiased, *debiased, curve.shuffled], 1).tolist()
    for step, row, reason in zip(steps, numbers, curve.reasons, strict=True):
        yield (step, *where, *row, options.level, curve.samples, reason)


def settling_rows(curve: Curve, steps: Sequence[int], options: Options) -> Iterator[tuple[Any, ...]]:
    """A layer that reaches τ only at the last step has not been seen to settle: it equals itself there."""
    import torch

    from phasescope.measures import settling_step

    last, ascending = steps[-1], torch.tensor(steps)
    known = curve.cka[:-1].isfinite().tolist()
    first = known.index(True) if any(known) else None
    for tau in options.taus:
        step = settling_step(ascending, curve.cka, tau)
        drawn = settling_step(ascending, curve.drawn, tau).nan_to_num(nan=math.inf)
        drawn = torch.where(drawn >= last, math.inf, drawn)
        low, high = (
            float(drawn.quantile(q, interpolation="nearest"))
            for q in ((1 - options.level) / 2, (1 + options.level) / 2)
        )
        settled = None if math.isnan(step) or float(step) >= last else int(step)
        shuffled = float(curve.shuffled[-1 if settled is None else steps.index(settled)])
        begin = [math.nan] * 3 if first is None else [float(values[first]) for values in (curve.cka, *curve.bounds)]
        reason = "no CKA before the last step" if first is None else ""
        if first is not None and settled is not None:
            reason = _unmoved(begin, shuffled, tau)
        yield (
            tau,
            settled,
            None if math.isinf(low) else int(low),
            None if math.isinf(high) else int(high),
            math.nan if settled is None or not last else settled / last,
            options.level,
            last,
            None if first is None else steps[first],
            *begin,
            shuffled,
            not reason,
            reason,
        )


def _unmoved(begin: Sequence[float], shuffled: float, tau: float) -> str:
    """Why the settling step of a layer means nothing; "" where it moved, and then settled.

    No step is named, for tables may be shown along tokens: that of the first checkpoint stands beside it. It moved if
    it surely was below τ there, and if τ is more than what texts that do not match reach.
    """
    cka, low, high = begin
    if not high < tau:
        return f"not surely below τ at the first step: CKA {cka:.2f} [{low:.2f}, {high:.2f}]"
    if shuffled >= tau:
        return f"texts that do not match reach τ too: CKA {shuffled:.2f}"
    return ""
