"""Who is near whom: nearest neighbours of samples, and whether two sets of activations agree on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import same_samples
from phasescope.measures._side import Chance, Side, Told, block_sums, over_orders
from phasescope.measures._tensors import as_float64, shape_of, unit_rows

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array


# How many cosines exist at a time (128 MiB).
_COSINES = 2**24


def nearest(x: Float[Array, "samples p"], k: int) -> Int64[Tensor, "samples k"]:
    """For each sample the k others of the highest cosine with it, the nearest first.

    Raises:
        ValueError: x is not a matrix, or has no k other samples.
    """
    x = as_float64(x)
    if x.ndim != 2 or not 1 <= k < len(x):
        raise ValueError(f"{k} nearest neighbours need [samples, features] of more than {k} samples: {shape_of(x)}")
    unit = unit_rows(x)
    found = torch.empty(len(x), k, dtype=torch.int64, device=x.device)
    # Cosines of some samples with all at a time: the whole matrix would grow with their square.
    for start in range(0, len(x), height := max(1, _COSINES // len(x))):
        cosines = unit[start : start + height] @ unit.mT
        cosines.diagonal(start).fill_(-torch.inf)
        found[start : start + height] = cosines.topk(k, dim=1).indices
    return found


def why_no_neighbours(x: Float[Array, "samples p"], k: int) -> str:
    """Why samples do not have k nearest neighbours, in a few words; "" where they do.

    Samples of one direction are all as near: which of them `nearest` names is decided by rounding.

    >>> why_no_neighbours(torch.ones(50, 8), 10)
    'all samples point one way, and none is nearer than another'
    """
    x = as_float64(x)
    if len(x) <= k:
        return f"{len(x)} {'sample is' if len(x) == 1 else 'samples are'} too few for {k} neighbours"
    if not (x.shape[1] and bool((x.isfinite().all(1) & (x != 0).any(1)).all())):
        return "a sample is 0 or not finite, and has no direction"
    unit = unit_rows(x)
    # Cosines that differ by less than what they are rounded to.
    alike = bool((1 - unit @ unit[0] <= x.shape[1] * torch.finfo(x.dtype).eps).all())
    return "all samples point one way, and none is nearer than another" if alike else ""


def overlap(x: Int64[Array, "samples k"], y: Int64[Array, "samples k"]) -> Float64[Tensor, "samples"]:
    """For each sample the share of its neighbours in x that are among those in y, as `nearest` gives them; 0 … 1.

    Raises:
        ValueError: they are not of the same shape.
    """
    one, other = torch.as_tensor(x), torch.as_tensor(y)
    if one.ndim != 2 or one.shape != other.shape:
        raise ValueError(f"neighbours must be [samples, k] of the same: {shape_of(one)} and {shape_of(other)}")
    shared = torch.zeros(len(one), dtype=torch.float64, device=one.device)
    for column in other.unbind(1):
        shared += (one == column[:, None]).sum(1)
    return shared / one.shape[1]


def shared_luck(
    x: Int64[Array, "samples k"], y: Int64[Array, "samples k"], groups: int
) -> tuple[Float64[Tensor, "samples"], float]:
    """`overlap`, and by how much its mean is less sure than of samples that have nothing to do with each other; ≥ 1.

    Samples that are neighbours have neighbours in common, and so their shares go up and down together: the variance of
    the mean is summed over pairs of which one is the other's neighbour on both sides, too (as Chen & Shao 2004, Normal
    approximation under local dependence, do it). Of samples of one group, `groups` in all, what they share is known.

    Raises:
        ValueError: they are not of the same shape, or do not make so many equal groups.
    """
    near, far = torch.as_tensor(x), torch.as_tensor(y)
    shares = overlap(near, far)
    if groups < 1 or len(shares) % groups:
        raise ValueError(f"{len(shares)} samples do not make {groups} equal groups")
    apart = shares - shares.mean()
    of_groups = apart.view(groups, -1).sum(1).square().sum()
    group = torch.arange(len(shares), device=near.device) // (len(shares) // groups)
    both = (near[:, :, None] == far[:, None, :]).any(2) & (group[near] != group[:, None])
    together = apart @ (apart[near] * both).sum(1)
    wider = float((1 + together / of_groups).sqrt()) if together > 0 else 1.0
    return shares, wider


def shared_neighbours(
    x: Float[Array, "samples p"], y: Float[Array, "samples q"], k: int = 10
) -> Float64[Tensor, "samples"]:
    """For each sample the share of its k nearest neighbours in x that are among those in y.

    Its mean is the mutual nearest-neighbour alignment of Huh et al. (2024, arXiv 2405.07987, equation 11); k / (n − 1)
    is what unrelated activations of n samples share by chance.

    Returns:
        No unit; 0 … 1. NaN for all where a sample is zero or not finite, all point one way (a state without
        variance: `why_no_neighbours` says which), or there are no k others.

    Raises:
        ValueError: x or y is not a matrix, they differ in their number of rows, or k is below 1.

    >>> x = torch.randn(50, 8)
    >>> float(shared_neighbours(x, 2 * x).mean())
    1.0
    """
    x, y = same_samples(x, y)
    first, second = NeighbourSide(x, k), NeighbourSide(y, k)
    if not first.sound or not second.sound:
        return x.new_full((len(x),), torch.nan)
    return first.shared(second)


class NeighbourSide(Side):
    """Activations as `mutual_neighbours` sees them: the k nearest neighbours of each sample.

    Raises:
        ValueError: x is not a matrix, or k is below 1.
    """

    def __init__(self, x: Float[Array, "samples p"], k: int = 10) -> None:
        x = as_float64(x)
        if k < 1:
            raise ValueError(f"a sample has 1 nearest neighbour or more, not {k}")
        if x.ndim != 2:
            raise ValueError(f"activations must be [samples, features]; these are {shape_of(x)}")
        self.samples, self._k = len(x), k
        self._why = why_no_neighbours(x, k)
        self.sound = not self._why
        self._summed: dict[int, tuple[Tensor, Tensor]] = {}
        if self.sound:
            self._nearest: Int64[Tensor, "samples k"] = nearest(x, k)

    def shared(self, other: NeighbourSide) -> Float64[Tensor, "samples"]:
        """`shared_neighbours`, of sides that are sound."""
        return overlap(self._nearest, other._nearest)

    def why_not(self, other: NeighbourSide) -> str:
        """That there are too few samples, or none is nearer than another."""
        return self._why or other._why

    def _value(self, other: NeighbourSide) -> Float64[Tensor, ""]:
        return self.shared(other).mean()

    def _told(self, other: NeighbourSide, chance: Chance) -> Told:
        """In a resample neighbours stay those among all samples; that shares depend on each other is made up for."""
        shared, wider = shared_luck(self._nearest, other._nearest, chance.groups)
        counts = chance.draws.counts
        same = over_orders(self._blocks(chance.groups), other._blocks(chance.groups), chance.groups)
        shuffled = same / (self.samples * self._k)
        mean = shared.mean()
        return Told(mean, mean + wider * (counts @ shared / counts.sum(1) - mean), shuffled)

    def _blocks(self, groups: int) -> tuple[Tensor, Tensor]:
        if groups not in self._summed:
            self._summed[groups] = block_sums(self._chosen.double(), groups)
        return self._summed[groups]

    @property
    def _chosen(self) -> Bool[Tensor, "samples samples"]:
        """Who is among whose nearest."""
        chosen = torch.zeros(self.samples, self.samples, dtype=torch.bool, device=self._nearest.device)
        return chosen.scatter_(1, self._nearest, True)


def mutual_neighbours(x: Float[Array, "samples p"], y: Float[Array, "samples q"], k: int = 10) -> Float64[Tensor, ""]:
    """The mean over samples of `shared_neighbours`, with the same errors."""
    return shared_neighbours(x, y, k).mean()
