"""Text that a small and a large model of a suite make up together: decoded once, when a run's items are frozen.

After "Training Trajectories of Language Models Across Scales" (Xia et al. 2023, arXiv 2212.09803): the next token comes
from λ_s p_s + λ_l p_l, greedily or by nucleus sampling, so that the text is what both models expect, or what one of
them does and the other does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.texts.made.noise import METHODS

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from phasescope.suites import Checkpoint, Suite

# λ of the small and of the large model: each alone, and what each expects more than the other.
WEIGHTS = ((0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (1.0, -1.0))
# The mass of the nucleus, as in the study's code.
_MASS = 0.95


@dataclass(frozen=True, eq=False)
class Decoded:
    """Sequences that begin with their prompt."""

    method: str
    small_weight: float
    large_weight: float
    tokens: Int[np.ndarray, "sequences context"]


def ends_of(suite: Suite) -> tuple[Checkpoint, Checkpoint]:
    """The last checkpoints of the first seed of the smallest and of the largest size; the same where there is one size.

    Sizes are in the order of the suite, smallest first.
    """
    found = []
    for size in (suite.sizes[0], suite.sizes[-1]):
        of_size = [checkpoint for checkpoint in suite if checkpoint.size == size]
        seed = min(checkpoint.seed for checkpoint in of_size)
        found.append(max((one for one in of_size if one.seed == seed), key=lambda one: one.step))
    return found[0], found[1]


def decoded(
    small: Any,
    large: Any,
    prompts: Int[np.ndarray, "sequences prompt"],
    *,
    tokens: int,
    vocabulary: int,
    methods: Sequence[str] = METHODS,
    weights: Sequence[tuple[float, float]] = WEIGHTS,
    seed: int = 0,
) -> Iterator[Decoded]:
    """Each prompt carried on for so many tokens, in every way that is asked for.

    Args:
        small, large: models of `transformers` that read from left to right; on any device.
        vocabulary: entries that the tokenizer can mean; no other is ever chosen.
        seed: of the nucleus sampling. Each way draws the same numbers, so that ways differ by their weights alone.
    """
    import torch

    # Computed anew at every step, so that it works with whatever a model keeps between steps; of all ways at once.
    def logits(model: Any, read: Tensor) -> Float[Tensor, "rows vocab"]:
        with torch.inference_mode():
            made: Tensor = model(read.to(model.device), use_cache=False).logits[:, -1, :vocabulary]
        return made.float().cpu()

    ways = [(method, *pair) for method in methods for pair in weights]
    read = torch.from_numpy(prompts.astype(np.int64)).repeat(len(ways), 1)
    for row in np.random.default_rng(seed).random((tokens, len(prompts))):
        by_small, by_large = (logits(model, read).chunk(len(ways)) for model in (small, large))
        chosen = [
            _next(of_small, of_large, small_weight, large_weight, row if method == "nucleus" else None)
            for (method, small_weight, large_weight), of_small, of_large in zip(ways, by_small, by_large, strict=True)
        ]
        read = torch.cat([read, torch.cat(chosen)[:, None]], 1)
    for way, made in zip(ways, read.numpy().astype(np.int32).reshape(len(ways), len(prompts), -1), strict=True):
        yield Decoded(*way, made)


def _next(
    small: Float[Tensor, "sequences vocab"],
    large: Float[Tensor, "sequences vocab"],
    small_weight: float,
    large_weight: float,
    numbers: Float[np.ndarray, "sequences"] | None,
) -> Int[Tensor, "sequences"]:
    """The likeliest token, or with numbers from 0 to 1 one from the nucleus."""
    from phasescope.measures import combined_probabilities, draw_tokens, nucleus

    probabilities = combined_probabilities(small, large, small_weight, large_weight)
    return probabilities.argmax(-1) if numbers is None else draw_tokens(nucleus(probabilities, _MASS), numbers)
