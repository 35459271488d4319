"""Experts compared: those of groups of tokens, of pairs that are chosen together, and of seeds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.experts.routing import Routing, weights_of
from phasescope.analyses.resampled_means import ratio

if TYPE_CHECKING:
    from phasescope.analyses.options import Options
    from phasescope.analyses.seeds.token_groups import Group

_MOST_PAIRS = 10
"""Of each layer so many pairs of experts are listed, those that are chosen together most often."""


def by_rows(routing: Routing, groups: list[Group], options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `experts_by`: how far each group of tokens is from all in where it goes, and its own expert.

    Groups are of the token that is routed, in the sequences that feed the outputs; the first of a window has none.
    """
    from phasescope.measures import interval, specialisation

    if not groups:
        return
    sequences = len(groups[0].members)
    places = routing.positions[:sequences]
    counts = routing.chosen[:, :sequences].astype(np.float64)  # [steps, sequences, k, experts]
    of_all = counts.sum(2)
    weights = weights_of(sequences, options)
    everyone = np.einsum("rs,tse->rte", weights, of_all, optimize=True)
    for group in groups:
        inside = np.take_along_axis(group.members, np.maximum(places - 1, 0), 1) & (places > 0)
        own = (counts * inside[None, :, :, None]).sum(2)
        here, all_here = own.sum(1), of_all.sum(1)
        drawn = np.einsum("rs,tse->rte", weights, own, optimize=True)
        values = specialisation(_shares(here), _shares(all_here))
        low, high = interval(specialisation(_shares(drawn), _shares(everyone)), values, options.level)
        lifted = np.nan_to_num(_shares(here), nan=0.0)
        best = np.nan_to_num(ratio(lifted, _shares(all_here)), nan=0.0).argmax(-1)
        for t, step in enumerate(routing.steps):
            total = int(here[t].sum())
            if not total:
                continue
            chance = (routing.experts - 1) / (2 * total)
            numbers = (float(values[t]), float(low[t]), float(high[t]), chance)
            own_expert = (int(best[t]), float(lifted[t, best[t]]), options.level, total)
            yield (routing.size, routing.seed, step, routing.layer, group.by, group.name, *numbers, *own_expert)


def _shares(counts: np.ndarray) -> np.ndarray:
    return ratio(counts, counts.sum(-1, keepdims=True))


def pair_rows(routing: Routing) -> Iterator[tuple[Any, ...]]:
    """Rows of `expert_pairs`: which experts are chosen together most often at the last step."""
    from phasescope.measures import chosen_together

    together = chosen_together(routing.chosen[-1].reshape(-1, routing.experts)).numpy()
    alone = together.diagonal()
    first, second = np.triu_indices(routing.experts, 1)
    for place in together[first, second].argsort(kind="stable")[::-1][:_MOST_PAIRS]:
        a, b = int(first[place]), int(second[place])
        if together[a, b] > 0:
            numbers = (float(together[a, b]), float(alone[a] * alone[b]))
            yield (routing.size, routing.seed, routing.steps[-1], routing.layer, a, b, *numbers)


def seed_rows(read: list[Routing], options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `expert_seeds`: whether two seeds send tokens to the same experts, once these are matched.

    Matched on one half of the sequences and compared on the other, and the other way round: a matching fits the noise
    of what it was found on.
    """
    for one, other in combinations(read, 2):
        for step in sorted({*one.steps} & {*other.steps}):
            first, second = one.chosen[one.steps.index(step)], other.chosen[other.steps.index(step)]
            if first.shape != second.shape or len(first) < 4:
                continue
            yield (one.size, step, one.layer, one.seed, other.seed, *_matched(first, second, options))


def _matched(first: np.ndarray, second: np.ndarray, options: Options) -> tuple[Any, ...]:
    import torch

    from phasescope.measures import agreement_by_chance, interval, matched_experts, routing_agreement

    experts = first.shape[-1]
    halves = np.arange(len(first)) % 2 == 0
    same, chances = np.full(first.shape[:2], np.nan), []
    for half in (halves, ~halves):
        found, wanted = (each[half].reshape(-1, experts) for each in (first, second))
        order = matched_experts(first[~half].reshape(-1, experts), second[~half].reshape(-1, experts)).numpy()
        renumbered = wanted[:, order]
        same[half] = routing_agreement(found, renumbered).numpy().reshape(-1, first.shape[1])
        chances.append(float(agreement_by_chance(found, renumbered)))
    sums, known = np.nansum(same, 1), (~np.isnan(same)).sum(1).astype(np.float64)
    weights = weights_of(len(same), options)
    value = ratio(sums.sum(), known.sum())
    low, high = interval(ratio(weights @ sums, weights @ known), torch.tensor(float(value)), options.level)
    return float(value), float(low), float(high), float(np.mean(chances)), options.level, int(known.sum())
