"""Mixtures of experts: how tokens are spread over experts, and whether they are sent where they were sent before.

A choice is `[samples, experts]`: which experts each sample (token) was sent to. A token that was sent to none says
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int64, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array


def expert_load(chosen: Num[Array, "... samples experts"]) -> Float64[Tensor, "... experts"]:
    """Each expert's share of all choices; they sum to 1. NaN where nothing was chosen.

    Args:
        chosen: not 0 where an expert was chosen (weights will do).
    """
    counts = _choices(chosen).sum(-2)
    return counts / counts.sum(-1, keepdim=True)


def load_entropy(load: Float[Array, "... experts"]) -> Float64[Tensor, "..."]:
    """The entropy of shares in nats: ln(experts) where all are used alike, 0 where one has all.

    >>> round(float(load_entropy(torch.full((8,), 1 / 8))), 4)
    2.0794
    """
    load = as_float64(load)
    # What is 0 adds nothing; what is NaN stays it.
    entropy: Tensor = -torch.special.xlogy(load, load).sum(-1)
    return entropy


def routing_agreement(
    chosen: Num[Array, "... samples experts"], reference: Num[Array, "samples experts"]
) -> Float64[Tensor, "... samples"]:
    """Of the experts that a token has in the reference, the share that it has here too.

    With the last step for the reference this is router saturation (Muennighoff et al. 2024, OLMoE, arXiv 2409.02060,
    section 5.1). NaN for a token that has none in the reference.

    Raises:
        ValueError: the shapes do not match.
    """
    chosen, reference = _choices(chosen), _choices(reference)
    if chosen.shape[-2:] != reference.shape:
        raise ValueError(f"choices must be of the same samples: {shape_of(chosen)} and {shape_of(reference)}")
    return (chosen * reference).sum(-1) / reference.sum(-1)


def agreement_by_chance(
    chosen: Num[Array, "... samples experts"], reference: Num[Array, "samples experts"]
) -> Float64[Tensor, "..."]:
    """The agreement of routers that use experts as often as these do, and know nothing of one another's tokens.

    Of the sums of choices c and r of each expert: Σ c r / (samples · Σ r). Two routers that send all to the same few
    experts agree by that much without any token's doing.
    """
    chosen, reference = _choices(chosen), _choices(reference)
    here, there = chosen.mean(-2), reference.sum(-2)
    return (here * there).sum(-1) / there.sum()


def specialisation(group: Float[Array, "... experts"], load: Float[Array, "... experts"]) -> Float64[Tensor, "..."]:
    """How far a group's use of experts is from that of all tokens: the Kullback-Leibler divergence in nats.

    Of few choices it is above 0 by chance, by about (experts - 1) / (2 choices).

    Args:
        group: shares of a group of tokens, as `expert_load` gives them.
        load: shares of all tokens, the group's among them.
    """
    group, load = as_float64(group), as_float64(load)
    divergence: Tensor = (torch.special.xlogy(group, group) - torch.special.xlogy(group, load)).sum(-1)
    return divergence


def chosen_together(chosen: Num[Array, "samples experts"]) -> Float64[Tensor, "experts experts"]:
    """The share of tokens that were sent to both of two experts; on the diagonal, to one."""
    chosen = _choices(chosen)
    return chosen.mT @ chosen / len(chosen)


def matched_experts(
    first: Num[Array, "samples experts"], second: Num[Array, "samples experts"]
) -> Int64[Tensor, "experts"]:
    """Which expert of the second router stands for each of the first: the matching with most choices in common.

    Experts of two trainings have no common numbering. Of all one-to-one matchings that with the largest sum, over
    tokens, of experts that both chose, found exactly (Kuhn 1955, the Hungarian method; `scipy`).

    Raises:
        ValueError: the shapes do not match.
    """
    from scipy.optimize import linear_sum_assignment

    first, second = _choices(first), _choices(second)
    if first.shape != second.shape:
        raise ValueError(f"choices must be of the same samples: {shape_of(first)} and {shape_of(second)}")
    _, places = linear_sum_assignment((first.mT @ second).numpy(), maximize=True)
    return torch.from_numpy(places.astype("int64"))


def _choices(chosen: Num[Array, "... samples experts"]) -> Float64[Tensor, "... samples experts"]:
    made = torch.as_tensor(chosen)
    if made.ndim < 2:
        raise ValueError(f"choices must be [..., samples, experts]; they are {shape_of(made)}")
    return (made != 0).to(torch.float64)
