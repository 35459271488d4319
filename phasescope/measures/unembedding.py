"""How a model makes logits out of final hidden states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float

    from phasescope.measures._tensors import Array


@dataclass(frozen=True)
class Unembedding:
    """From final hidden states to logits: `cap(scale (hidden · W_U + b_U))`.

    Attributes:
        weight: W_U; a transposed view of an embedding matrix is fine and is not copied.
        bias: b_U, finite; None where there is none.
        scale: by which logits are multiplied.
        softcap: c in c · tanh(logit / c), which keeps logits within ±c (Gemma 2, Riviere et al. 2024, section 2);
            None where they are not capped.
    """

    weight: Float[Array, "d vocab"]
    bias: Float[Array, "vocab"] | None = None
    scale: float = 1.0
    softcap: float | None = None
