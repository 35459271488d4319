"""The next token from what two models predict: a weighted sum of their probabilities, and the nucleus of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array

# Added to every entry, as in the study's code: where nothing is positive all entries are alike.
_LEAST = 1e-7


def combined_probabilities(
    small: Float[Array, "rows vocab"], large: Float[Array, "rows vocab"], small_weight: float, large_weight: float
) -> Float64[Tensor, "rows vocab"]:
    """The distribution λ_s p_s + λ_l p_l of two models' logits, less what is negative, made to sum to one.

    With weights (0, 1) it is the large model's, with (−1, 1) what the large model expects more than the small one. As
    "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803) and its code.

    Raises:
        ValueError: the logits have different shapes, or are not [rows, vocab].
    """
    p_small, p_large = (torch.softmax(as_float64(logits), -1) for logits in (small, large))
    if p_small.shape != p_large.shape or p_small.ndim != 2:
        raise ValueError(f"logits must be [rows, vocab] twice; they are {shape_of(p_small)} and {shape_of(p_large)}")
    mixed = (small_weight * p_small + large_weight * p_large).clamp(min=0) + _LEAST
    return mixed / mixed.sum(-1, keepdim=True)


def nucleus(probabilities: Float[Array, "rows vocab"], mass: float) -> Float64[Tensor, "rows vocab"]:
    """The likeliest entries that together have at least that mass, made to sum to one (Holtzman et al. 2020).

    Raises:
        ValueError: the mass is not above 0 and up to 1.
    """
    if not 0 < mass <= 1:
        raise ValueError(f"the mass of a nucleus lies above 0 and up to 1; it is {mass}")
    values, order = torch.sort(as_float64(probabilities), dim=-1, descending=True, stable=True)
    # An entry is in as long as those before it fall short.
    kept = values.where(values.cumsum(-1) - values < mass, 0.0)
    kept = torch.zeros_like(kept).scatter(-1, order, kept)
    return kept / kept.sum(-1, keepdim=True)


def draw_tokens(probabilities: Float[Array, "rows vocab"], uniform: Float[Array, "rows"]) -> Int64[Tensor, "rows"]:
    """The entry of each row in which a number from 0 up to 1 falls: the same numbers draw the same on every device."""
    cumulative = as_float64(probabilities).cumsum(-1)
    at = as_float64(uniform).to(cumulative.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, at, right=True)[:, 0].clamp(max=cumulative.shape[-1] - 1)
