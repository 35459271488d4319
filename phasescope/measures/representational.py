"""Representational similarity: do two sets of activations find the same samples alike?

The geometry of a set of activations is its *representational dissimilarity matrix* (RDM): how unlike each two samples
are. Two geometries are compared through these alone, pair by pair (Kriegeskorte, Mur & Bandettini 2008).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from phasescope.measures._pairs import same_samples
from phasescope.measures._products import products
from phasescope.measures._side import Chance, Side, Told, block_sums, over_orders
from phasescope.measures._tensors import as_float64, shape_of, unit_rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float, Float32, Float64
    from torch import Tensor

    from phasescope.measures._draws import Draws
    from phasescope.measures._tensors import Array

# Decimals of dissimilarities, which are 0 … 2, that are not rounding.
_DIGITS = 12
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
    if not len(x):
        return x.new_zeros(0)
    upper = torch.triu_indices(len(x), len(x), 1, device=x.device)
    return 1 - products(unit).clamp_(-1, 1)[upper[0], upper[1]]


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
    return RdmSide(x, rdm, compared).to(RdmSide(y, rdm, compared))


class RdmSide(Side):
    """Activations as `rsa` sees them: their dissimilarities, or the ranks of these, centred and of length 1.

    Args: as of `rsa`.

    Raises:
        ValueError: x is not a matrix, or there is no such kind.
    """

    def __init__(self, x: Float[Array, "samples p"], rdm: str = "pearson", compared: str = "spearman") -> None:
        # Copies of a sample, such as the first token of many texts, are ties but for rounding: no ranks come of that.
        pairs = dissimilarities(x, rdm).round(decimals=_DIGITS)
        self.samples = len(x)
        self._pairs: Float64[Tensor, "pairs"] = _prepared(pairs[None], compared)[0] if self.samples > 2 else pairs
        self.sound = self.samples > 2 and bool(self._pairs.isfinite().all())
        self._centred = compared != "cosine"
        self._sums: tuple[Draws, Tensor] | None = None
        self._summed: dict[int, tuple[Tensor, Tensor]] = {}

    def _value(self, other: RdmSide) -> Float64[Tensor, ""]:
        found: Tensor = (self._pairs @ other._pairs).clamp(-1, 1)
        return found

    def _told(self, other: RdmSide, chance: Chance) -> Told:
        """In a resample a pair of samples counts as often as it is drawn; a sample and its copy are no pair.

        Ranks stay those among all pairs of samples.
        """
        draws = chance.draws
        (pairs, x, xx), (_, y, yy) = self._drawn(draws), other._drawn(draws)
        xy = _pairs_drawn((self._square * other._square).float(), draws)
        if self._centred:
            xx, yy, xy = xx - x * x / pairs, yy - y * y / pairs, xy - x * y / pairs
        # Each pair is in the square twice.
        shuffled = over_orders(self._blocks(chance.groups), other._blocks(chance.groups), chance.groups) / 2
        return Told(self._value(other), (xy / (xx * yy).sqrt()).clamp(-1, 1), shuffled)

    @cached_property
    def _square(self) -> Float64[Tensor, "samples samples"]:
        """Symmetric, zeros in the diagonal."""
        n = self.samples
        upper = torch.triu_indices(n, n, 1, device=self._pairs.device)
        square = self._pairs.new_zeros(n, n)
        square[upper[0], upper[1]] = self._pairs
        return square + square.mT

    def _blocks(self, groups: int) -> tuple[Tensor, Tensor]:
        if groups not in self._summed:
            self._summed[groups] = block_sums(self._square, groups)
        return self._summed[groups]

    def _drawn(self, draws: Draws) -> Float64[Tensor, "3 resamples"]:
        """Of each resample how many pairs it has, and the sums over these of the values and of their squares."""
        if self._sums is None or self._sums[0] is not draws:
            square = self._square.float()
            w = draws.counts
            pairs = w.sum(1).square() - w.square().sum(1)
            self._sums = draws, torch.stack([pairs, _pairs_drawn(square, draws), _pairs_drawn(square**2, draws)])
        return self._sums[1]


def _pairs_drawn(square: Float32[Tensor, "samples samples"], draws: Draws) -> Float64[Tensor, "resamples"]:
    """Σ wᵢ wⱼ Aᵢⱼ of each resample. Of sums of many terms float32 keeps six digits, more than an interval needs."""
    w = draws.powers[1]
    found: Tensor = ((w @ square) * w).double().sum(1)
    return found


def ranks(values: Float[Array, "... n"]) -> Float64[Tensor, "... n"]:
    """Ranks along the last axis, from 1; ties share the mean of theirs; of a row with NaN all are NaN.

    >>> ranks(torch.tensor([5.0, 1.0, 5.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    values = as_float64(values)
    n = values.shape[-1]
    # NumPy orders what is on the processor several times as fast.
    order = values.argsort(-1) if values.device.type != "cpu" else torch.from_numpy(np.argsort(values.numpy(), -1))
    ordered = values.gather(-1, order)
    begins = torch.ones_like(ordered, dtype=torch.bool)
    begins[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    # Of each run of ties, in all rows one after the other: where it begins, and how long it is.
    starts = begins.flatten().nonzero().squeeze(1)
    lengths = torch.diff(starts, append=starts.new_tensor([values.numel()]))
    shared = starts % max(n, 1) + (lengths + 1).double() / 2
    shared = (shared if len(starts) == values.numel() else shared.repeat_interleave(lengths)).view(values.shape)
    found = torch.empty_like(values).scatter_(-1, order, shared)
    return torch.where(values.isnan().any(-1, keepdim=True), torch.nan, found)


def _prepared(rows: Float64[Tensor, "n d"], kind: str) -> Float64[Tensor, "n d"]:
    """Rows of length 1 whose inner products are the correlations of that kind."""
    if kind not in _BEFORE:
        raise ValueError(f"there is no kind {kind!r} of correlation: choose {', '.join(KINDS)}")
    values = _BEFORE[kind](rows)
    # A row without variance becomes zeros and then, by 0 / 0, NaN.
    return unit_rows(values)


def _centred(rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
    shifted = rows - rows[:, :1]
    return shifted - shifted.mean(-1, keepdim=True)


_BEFORE: dict[str, Callable[[Tensor], Tensor]] = {
    "pearson": _centred,
    "spearman": lambda rows: _centred(ranks(rows)),
    "cosine": lambda rows: rows,
}
