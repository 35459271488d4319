"""Representational similarity: do two sets of activations find the same samples alike?

The geometry of a set of activations is its *representational dissimilarity matrix* (RDM): how unlike each two samples
are. Two geometries are compared through these alone, pair by pair (Kriegeskorte, Mur & Bandettini 2008).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import same_samples
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array

KINDS = ("pearson", "spearman", "cosine")


def dissimilarities(x: Float[Array, "samples p"], kind: str = "pearson") -> Float64[Tensor, "pairs"]:
    """How unlike each two samples are: 1 − their correlation over the features; the RDM's upper triangle, row by row.

    Args:
        x: activations, one row per sample.
        kind: `pearson`, `spearman` (of the features' ranks within a sample; ties share their mean rank), or `cosine`
            (not centred).

    Returns:
        No unit; 0 … 2. NaN for pairs with a sample that has no variance (cosine: is zero) or is not finite.

    Raises:
        ValueError: x is not a matrix, or there is no such kind.

    >>> dissimilarities(torch.tensor([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 2.0, 1.0]])).round().tolist()
    [0.0, 2.0, 2.0]
    """
    x = as_float64(x)
    if x.ndim != 2:
        raise ValueError(f"activations must be [samples, features]; these are {shape_of(x)}")
    unit = _prepared(x, kind)
    upper = torch.triu_indices(len(x), len(x), 1, device=x.device)
    return 1 - (unit @ unit.mT).clamp(-1, 1)[upper[0], upper[1]]


def rsa(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], rdm: str = "pearson", compared: str = "spearman"
) -> Float64[Tensor, ""]:
    """Representational similarity analysis: the correlation of the dissimilarities of x and those of y.

    Args:
        x, y: activations of the same samples, one row each; widths may differ.
        rdm: how two samples are compared: see `dissimilarities`.
        compared: how the two RDMs are: `spearman` (usual: it asks for the same order only), `pearson` or `cosine`.

    Returns:
        No unit; −1 … 1. NaN where a dissimilarity is, all are equal, or there are fewer than 3 samples.

    Raises:
        ValueError: the shapes do not fit, or there is no such kind.

    >>> x = torch.randn(30, 8)
    >>> round(float(rsa(x, 3 * x)), 6)
    1.0
    """
    x, y = same_samples(x, y)
    if len(x) < 3:
        return x.new_tensor(torch.nan)
    pair = torch.stack([dissimilarities(side, rdm) for side in (x, y)])
    a, b = _prepared(pair, compared)
    found: Tensor = (a @ b).clamp(-1, 1)
    return found


def ranks(values: Float[Array, "... n"]) -> Float64[Tensor, "... n"]:
    """Ranks along the last axis, from 1; ties share the mean of theirs; of a row with NaN all are NaN.

    >>> ranks(torch.tensor([5.0, 1.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    values = as_float64(values)
    ordered = values.sort(-1).values
    below = torch.searchsorted(ordered, values.contiguous(), right=False)
    upto = torch.searchsorted(ordered, values.contiguous(), right=True)
    return torch.where(values.isnan().any(-1, keepdim=True), torch.nan, (below + upto + 1).double() / 2)


def _prepared(rows: Float64[Tensor, "n d"], kind: str) -> Float64[Tensor, "n d"]:
    """Rows of length 1 whose inner products are the correlations of that kind."""
    if kind not in _BEFORE:
        raise ValueError(f"there is no kind {kind!r} of correlation: choose {', '.join(KINDS)}")
    values = _BEFORE[kind](rows)
    # A row without variance becomes zeros and then, by 0 / 0, NaN.
    found: Tensor = values / torch.linalg.vector_norm(values, dim=-1, keepdim=True)
    return found


def _centred(rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
    shifted = rows - rows[:, :1]
    return shifted - shifted.mean(-1, keepdim=True)


_BEFORE: dict[str, Callable[[Tensor], Tensor]] = {
    "pearson": _centred,
    "spearman": lambda rows: _centred(ranks(rows)),
    "cosine": lambda rows: rows,
}
