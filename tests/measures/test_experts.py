"""Choices of experts, against loops over tokens; integers below 2^53, so equal but for the order of sums."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from phasescope.measures.experts import (
    agreement_by_chance,
    chosen_together,
    expert_load,
    load_entropy,
    matched_experts,
    routing_agreement,
    specialisation,
)


def choices(samples: int, experts: int, k: int, seed: int) -> np.ndarray:
    """Weights of k experts for each sample, some experts used more than others."""
    random = np.random.default_rng(seed)
    scores = random.normal(size=(samples, experts)) + np.linspace(0, 1, experts)
    made = np.zeros((samples, experts))
    for row, best in zip(made, scores.argsort(1)[:, -k:], strict=True):
        row[best] = random.uniform(0.01, 1, k)
    return made


@pytest.mark.parametrize(("samples", "experts", "k"), [(40, 6, 2), (1, 3, 1), (17, 64, 8), (5, 4, 4)])
def test_loads_entropies_and_pairs_are_counted(samples: int, experts: int, k: int) -> None:
    made = choices(samples, experts, k, seed=experts)
    counts = [sum(row[expert] > 0 for row in made) for expert in range(experts)]
    load = [count / (samples * k) for count in counts]
    assert expert_load(made).tolist() == pytest.approx(load, rel=1e-14)
    entropy = -sum(share * math.log(share) for share in load if share)
    assert float(load_entropy(torch.tensor(load))) == pytest.approx(entropy, rel=1e-6)
    together = chosen_together(made)
    for a, b in itertools.product(range(min(experts, 5)), repeat=2):
        assert float(together[a, b]) == pytest.approx(sum((row[a] > 0) and (row[b] > 0) for row in made) / samples)


def test_agreement_is_the_share_of_the_references_experts() -> None:
    first, second = choices(50, 7, 2, 1), choices(50, 7, 3, 2)
    wanted = [
        len(set(np.flatnonzero(a)) & set(np.flatnonzero(b))) / len(np.flatnonzero(b))
        for a, b in zip(first, second, strict=True)
    ]
    assert routing_agreement(first, second).tolist() == pytest.approx(wanted)
    assert bool((routing_agreement(first, first) == 1).all())
    # Steps may lie in front.
    both = np.stack([first, second])
    assert routing_agreement(both, second)[0].tolist() == pytest.approx(wanted)


def test_chance_is_the_mean_over_all_ways_of_exchanging_tokens() -> None:
    first, second = choices(6, 4, 2, 3), choices(6, 4, 1, 4)
    shuffled = [
        float(routing_agreement(first[list(order)], second).mean()) for order in itertools.permutations(range(6))
    ]
    assert float(agreement_by_chance(first, second)) == pytest.approx(np.mean(shuffled), rel=1e-12)


def test_specialisation_is_the_divergence_from_all_tokens() -> None:
    made = choices(300, 5, 2, 5)
    group, load = expert_load(made[:40]), expert_load(made)
    wanted = sum(float(p) * math.log(float(p) / float(q)) for p, q in zip(group, load, strict=True) if p)
    assert float(specialisation(group, load)) == pytest.approx(wanted, rel=1e-12)
    assert float(specialisation(load, load)) == 0
    # Of few tokens drawn from all it is about (experts - 1) / (2 choices) above 0.
    random = np.random.default_rng(0)
    draws = [float(specialisation(expert_load(made[random.choice(300, 100, replace=True)]), load)) for _ in range(400)]
    assert 0.4 < np.mean(draws) / (4 / (2 * 200)) < 1.2


def test_matching_finds_experts_that_were_renumbered() -> None:
    made = choices(200, 6, 2, 6)
    order = np.random.default_rng(1).permutation(6)
    renumbered = np.empty_like(made)
    renumbered[:, order] = made
    assert matched_experts(made, renumbered).tolist() == order.tolist()


def test_matching_is_the_best_of_all() -> None:
    first, second = choices(30, 5, 2, 7), choices(30, 5, 2, 8)
    common = (first > 0).T.astype(int) @ (second > 0).astype(int)
    best = max(sum(common[e, to] for e, to in enumerate(order)) for order in itertools.permutations(range(5)))
    found = matched_experts(first, second).tolist()
    assert sum(common[e, to] for e, to in enumerate(found)) == best


def test_nothing_chosen_is_nan_and_wrong_shapes_are_named() -> None:
    nothing = np.zeros((3, 4))
    assert expert_load(nothing).isnan().all()
    assert load_entropy(expert_load(nothing)).isnan()
    assert routing_agreement(choices(3, 4, 2, 0), nothing).isnan().all()
    with pytest.raises(ValueError, match="same samples"):
        routing_agreement(np.ones((3, 4)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="same samples"):
        matched_experts(np.ones((3, 4)), np.ones((3, 5)))
    with pytest.raises(ValueError, match="samples, experts"):
        expert_load(np.ones(4))
