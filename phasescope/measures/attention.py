"""What an attention head looks at, told from a text in which it can be known: random tokens that are read twice.

After `first` tokens (a beginning-of-text token, or none) come `period` random tokens, no two alike, and then the same
again. A query in the second half can look at itself in the first half (*duplicate token*), at what came after that
(*induction*: it says what comes next), at the token before (*previous token*), or at the first token of all (a *sink*).
Random tokens, because in real text these are confounded with everything else that repeats
(Olsson et al. 2022, In-context Learning and Induction Heads, arXiv 2209.11895).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


@dataclass(frozen=True)
class HeadScores:
    """What heads look at: means over the queries of the second half; shares of attention, but for the entropy.

    Attributes:
        induction: at the token after the query's first occurrence.
        duplicate_token: at the query's first occurrence.
        previous_token: at the token before.
        first_token: at the very first token, the sink of many models.
        entropy: of the attention, nats; at most ln of the number of tokens up to the query. What a row lacks (in models
            with learned sinks) counts as one place more.
    """

    induction: Float64[Tensor, "..."]
    duplicate_token: Float64[Tensor, "..."]
    previous_token: Float64[Tensor, "..."]
    first_token: Float64[Tensor, "..."]
    entropy: Float64[Tensor, "..."]


def head_scores(pattern: Float[Array, "... queries keys"], period: int, first: int = 0) -> HeadScores:
    """Score heads by their attention on `period` random tokens that are read twice, after `first` other tokens.

    Args:
        pattern: rows of attention of the last `period` queries (the second half), over all `first + 2 · period` keys.
        period: how many tokens are repeated, 3 or more: with fewer the places fall together.
        first: tokens before them.

    Returns:
        One number per leading index. NaN where a row has a NaN; a head that attends to nothing has shares of 0.

    Raises:
        ValueError: the shape does not fit, or the period is below 3.

    >>> queries = torch.arange(4)
    >>> looks_after = torch.zeros(4, 8)
    >>> looks_after[queries, queries + 1] = 1.0
    >>> float(head_scores(looks_after, period=4).induction)
    1.0
    """
    rows = as_float64(pattern)
    if period < 3 or first < 0:
        raise ValueError(f"a period has 3 tokens or more, after none or more: not {period} after {first}")
    if rows.ndim < 2 or rows.shape[-2:] != (period, first + 2 * period):
        raise ValueError(
            f"the pattern must be [..., {period} queries, {first + 2 * period} keys]; it is {shape_of(rows)}"
        )
    own = first + period  # The key that is the first query itself.

    def at(place: int) -> Float64[Tensor, "..."]:
        """The mean attention of each query to the key that lies as far from it as `place` from the first query."""
        return rows.diagonal(place, -2, -1)[..., :period].mean(-1)

    lacking = (1 - rows.sum(-1)).clamp(min=0)
    # Rounding of low precision is no sink.
    entropy = torch.special.entr(rows).sum(-1) + torch.special.entr(torch.where(lacking > 0.01, lacking, 0))
    return HeadScores(
        induction=at(first + 1),
        duplicate_token=at(first),
        previous_token=at(own - 1),
        first_token=rows[..., 0].mean(-1),
        entropy=entropy.mean(-1),
    )
