"""How close is each layer to its final state, and when does it settle?

Linear CKA (Kornblith et al. 2019) of a site's activations with those of the same site at the last step that was
captured, biased as in "Tending Towards Stability" (arXiv 2410.11451) and debiased (Song et al. 2012). Intervals by a
bootstrap over sequences, the same resamples at every step, so that a settling step has an interval too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.analyses.convergence.columns import CONVERGENCE, SETTLING
from phasescope.analyses.convergence.resamples import kept_resamples, together
from phasescope.analyses.reader import as_table, read_activations, sample_weights

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.measures import Draws
    from phasescope.store import ShardKey

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
    reasons: list[str]


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
            settling += [(size, seed, *where, *row) for row in _settling_rows(curve, steps, options)]
            if curve.head is None:
                resamples.append(kept_resamples(curve.replicates, size, seed, steps, site.name))
    return {
        "convergence": as_table(convergence, CONVERGENCE),
        "settling": as_table(settling, SETTLING),
        "convergence_resamples": together(resamples),
    }


def _curves(reader: RunReader, keys: Sequence[ShardKey], options: Options) -> Iterator[Curve]:
    from phasescope.measures import Draws
    from phasescope.measures.cka import MOST_EXACT

    sites = reader.sites(keys[-1])
    if not sites:
        return
    samples = reader.inputs.sampled
    draws = Draws(sample_weights(reader.inputs.sequences, samples, options.resamples, options.seed))
    with reader.folder.open_shard(keys[-1]) as shard:
        shapes = [shard.shape(f"activations/{site}") for site in sites]
    most_parts = max(shape[1] + 1 if len(shape) > 2 else 1 for shape in shapes)
    kept = 12 * samples * min(samples, MOST_EXACT) + 64 * samples * options.resamples
    at_once = max(_CACHE_BYTES // (kept * most_parts), 1)
    for first in range(0, len(sites), at_once):
        yield from _curves_of(reader, keys, sites[first : first + at_once], draws)


def _curves_of(reader: RunReader, keys: Sequence[ShardKey], sites: Sequence[str], draws: Draws) -> Iterator[Curve]:
    """The curves of a few sites: every shard is opened once, every array read once."""
    import torch

    from phasescope.measures import FinalState, State

    sequences = reader.inputs.sequences
    with reader.folder.open_shard(keys[-1]) as shard:
        final: dict[tuple[str, int | None], FinalState] = {
            (site, head): FinalState(values) for site in sites for head, values in read_activations(shard, site)
        }
    found: dict[tuple[str, int | None], list[tuple[Tensor, ...]]] = {part: [] for part in final}
    reasons: dict[tuple[str, int | None], list[str]] = {part: [] for part in final}
    for key in keys:
        with reader.folder.open_shard(key) as shard:
            for site in sites:
                for head, values in read_activations(shard, site):
                    compared, state = final[site, head], State(values)
                    biased, debiased = compared.both(state)
                    shuffled = compared.shuffled(state, sequences)
                    found[site, head].append((biased, debiased, *compared.resampled(state, draws), shuffled))
                    reasons[site, head].append(_reason(values, float(biased)))
    for (site, head), points in found.items():
        parts = [torch.stack(part, -1) for part in zip(*points, strict=True)]
        cka, debiased, replicates, debiased_replicates, shuffled = parts
        numbers = (cka, debiased, replicates, debiased_replicates, shuffled)
        yield Curve(site, head, *numbers, draws.counts.shape[1], reasons[site, head])


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
    from phasescope.measures import interval

    low, high = _bounds(curve, options)
    debiased_low, debiased_high = interval(curve.debiased_replicates, curve.debiased, options.level)
    numbers = (curve.cka, low, high, curve.debiased, debiased_low, debiased_high.clamp(max=1), curve.shuffled)
    for i, step in enumerate(steps):
        yield (step, *where, *(float(values[i]) for values in numbers), options.level, curve.samples, curve.reasons[i])


def _bounds(curve: Curve, options: Options) -> tuple[Tensor, Tensor]:
    """Low and high of the biased CKA at each step."""
    from phasescope.measures import interval

    low, high = interval(curve.replicates, curve.cka, options.level)
    return low, high.clamp(max=1)


def _settling_rows(curve: Curve, steps: Sequence[int], options: Options) -> Iterator[tuple[Any, ...]]:
    """A layer that reaches τ only at the last step has not been seen to settle: it equals itself there."""
    import torch

    from phasescope.measures import settling_step

    last, ascending = steps[-1], torch.tensor(steps)
    # Re-centred as intervals of CKA are: drawing rows twice shifts CKA as a whole, its spread is what counts.
    replicates = curve.replicates - curve.replicates.nanmedian(0).values + curve.cka
    known = curve.cka[:-1].isfinite().tolist()
    first = known.index(True) if any(known) else None
    bounds = _bounds(curve, options)
    for tau in options.taus:
        step = settling_step(ascending, curve.cka, tau)
        drawn = settling_step(ascending, replicates, tau).nan_to_num(nan=math.inf)
        drawn = torch.where(drawn >= last, math.inf, drawn)
        low, high = (
            float(drawn.quantile(q, interpolation="nearest"))
            for q in ((1 - options.level) / 2, (1 + options.level) / 2)
        )
        settled = None if math.isnan(step) or float(step) >= last else int(step)
        shuffled = float(curve.shuffled[-1 if settled is None else steps.index(settled)])
        begin = [math.nan] * 3 if first is None else [float(values[first]) for values in (curve.cka, *bounds)]
        reason = "no CKA before the last step" if first is None else ""
        if first is not None and settled is not None:
            reason = _unmoved(steps[first], begin, shuffled, tau)
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


def _unmoved(first: int, begin: Sequence[float], shuffled: float, tau: float) -> str:
    """Why the settling step of a layer means nothing; "" where it moved, and then settled.

    It moved if it surely was below τ at the first checkpoint, and if τ is more than what texts that do not match reach.
    """
    cka, low, high = begin
    if not high < tau:
        return f"not surely below τ at the first step: CKA {cka:.2f} [{low:.2f}, {high:.2f}] at step {first}"
    if shuffled >= tau:
        return f"texts that do not match reach τ too: CKA {shuffled:.2f}"
    return ""
