"""How many phases, where, and with which kind of error: the fit that an information criterion prefers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._segment_search import best_sets, refined
from phasescope.measures._segmented import Grid, corners_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float64, Int

# What a value is known to, as a share of the curve's range: KL and the like are computed in float32.
_PRECISION = 1e-6
# What the search for a boundary may gain in −2 log likelihood where there is none.
_SEARCH = 7
# Of the variance of one seed's own errors: what the errors that all seeds share may have at most.
_SHARED = 4


@dataclass(frozen=True, eq=False)
class Seeds:
    """What the differences between seeds tell of the errors of curves.

    Attributes:
        number: `[curves]`; seeds that do not differ are one.
        freedom: `[curves]`: of the seeds' own errors, 0 of one seed.
        apart: `[kinds, curves]`: sum of squares of the seeds' whitened deviations from their mean, without their line.
    """

    number: Int[np.ndarray, "curves"]
    freedom: Int[np.ndarray, "curves"]
    apart: Float64[np.ndarray, "kinds curves"]

    @property
    def most(self) -> Float64[np.ndarray, "curves"]:
        """How often the variance of one seed's own errors goes into that of the errors of the mean, at most."""
        return 1 / self.number + _SHARED


@dataclass(frozen=True, eq=False)
class Fits:
    """The best fits of curves with each number of bends, 0, 1, …, under each kind of error.

    Attributes:
        whitened: `[kinds, curves, n − 1]`: the mean curves.
        products: `[kinds, curves, n]`: theirs with the columns.
        places: for each number of bends `[kinds, curves, bends]`, counted in checkpoints.
        unexplained: `[numbers, kinds, curves]`: sum of squares of the whitened errors of the mean curve.
        cost: `[numbers, kinds, curves]`: −2 log likelihood of the mean curve and of the seeds' deviations from it, up
            to a constant.
    """

    grid: Grid
    seeds: Seeds
    whitened: Float64[np.ndarray, "kinds curves left"]
    products: Float64[np.ndarray, "kinds curves checkpoints"]
    places: tuple[Float64[np.ndarray, "kinds curves bends"], ...]
    unexplained: Float64[np.ndarray, "numbers kinds curves"]
    cost: Float64[np.ndarray, "numbers kinds curves"]


def penalty(boundaries: int, points: int) -> float:
    """What so many boundaries must gain in −2 log likelihood over none, to be preferred.

    Of the j-th (2 ln n + 7)·(n − 2)/(n − 3 − j(j − 1)/2): a BIC of two parameters per boundary, its place and the slope
    after it, and 7 for what the search among all places and all kinds of error finds in any curve; the more so, the
    fewer points are left to tell errors from. Such a modification is what a BIC for breaks needs (Zhang & Siegmund
    2007); its size was found by simulation, as the smallest whole number at which on every grid clearly fewer than 5 %
    of random walks get a boundary (docs/analyses/phases.md).
    """
    each = 2 * math.log(points) + _SEARCH
    return sum(each * (points - 2) / max(points - 3 - j * (j - 1) / 2, 1) for j in range(1, boundaries + 1))


def fits_of(grid: Grid, curves: Sequence[Float64[np.ndarray, "seeds n"]]) -> Fits:
    """The fits of the means of curves of several seeds each. Means have a range of about 1."""
    n, kinds = len(grid.x), len(grid.bases)
    means = np.stack([seeds.mean(0) for seeds in curves])
    # einsum and not a matrix product: what is found in a curve does not depend, in its last digits, on its company.
    whitened = np.stack([np.einsum("cn,mn->cm", means, basis.error.whiten) for basis in grid.bases])
    products = np.stack(
        [np.einsum("cm,nm->cn", own, basis.columns.T.copy()) for own, basis in zip(whitened, grid.bases, strict=True)]
    )
    starts = [best_sets(basis, grid.sets, own) for basis, own in zip(grid.bases, products, strict=True)]
    total = np.stack([basis.left(own) for basis, own in zip(grid.bases, whitened, strict=True)])
    floor = np.array([_PRECISION**2 * (basis.error.whiten**2).sum() for basis in grid.bases])[:, None]
    kind, together = np.repeat(np.arange(kinds), len(means)), products.reshape(-1, n)
    places, explained = [np.zeros((kinds, len(means), 0))], [np.zeros((kinds, len(means)))]
    for bends in range(len(grid.sets)):
        found, gain = refined(grid, kind, together, np.concatenate([start[bends] for start in starts]))
        places.append(found.reshape(kinds, len(means), bends + 1))
        explained.append(gain.reshape(kinds, len(means)))
    unexplained = np.maximum(total - np.stack(explained), floor)
    seeds = _seeds_of(grid, curves)
    cost = _cost(unexplained, n - 2, seeds) + _volumes(grid)[:, None] * seeds.number
    return Fits(grid, seeds, whitened, products, tuple(places), unexplained, cost)


def _seeds_of(grid: Grid, curves: Sequence[Float64[np.ndarray, "seeds n"]]) -> Seeds:
    apart = [seeds - seeds.mean(0) for seeds in curves]
    number = np.array([len(own) if np.abs(own).max() > _PRECISION else 1 for own in apart])
    left = [[float(basis.left(own @ basis.error.whiten.T).sum()) for own in apart] for basis in grid.bases]
    return Seeds(number, (number - 1) * (len(grid.x) - 2), np.maximum(np.array(left), _PRECISION**2))


def _volumes(grid: Grid) -> Float64[np.ndarray, "kinds"]:
    return np.array([basis.error.log_determinant for basis in grid.bases])


def _cost(unexplained: Any, freedom: int, seeds: Seeds) -> Any:
    """−2 log likelihood of errors, those of the mean and the seeds' own, of the sizes that suit both best.

    The errors of the mean are those of the seeds, averaged, and what all seeds share: of what size that is, only the
    mean tells, but it is taken to be at most `_SHARED` times the variance of one seed's own. Where waves of the mean
    are larger than that while the seeds agree, they are no errors.
    """
    own = seeds.apart / np.maximum(seeds.freedom, 1)
    of_mean = unexplained / freedom
    both = (unexplained / seeds.most + seeds.apart) / (freedom + seeds.freedom)
    contradicted = (of_mean > seeds.most * own) & (seeds.freedom > 0)
    own, of_mean = np.where(contradicted, both, own), np.where(contradicted, seeds.most * both, of_mean)
    return freedom * (np.log(of_mean) + 1) + seeds.freedom * (np.log(own) + 1)


def chosen_of(fits: Fits) -> tuple[Int[np.ndarray, "curves"], Float64[np.ndarray, "curves"]]:
    """The number of bends that the criterion prefers, and by how much it beats a line."""
    penalties = np.array([penalty(bends, len(fits.grid.x)) for bends in range(len(fits.cost))])
    criterion = fits.cost.min(1) + penalties[:, None]
    return criterion.argmin(0), criterion[0] - criterion.min(0)


def plausibility(fits: Fits, bends: int) -> Float64[np.ndarray, "kinds curves"]:
    """How plausible each kind of error is, given so many bends: shares that sum to 1.

    From the restricted likelihood, in which what the bends explain does not count as evidence for small errors.
    """
    grid, places = fits.grid, fits.places[bends]
    freedom = max(len(grid.x) - 2 - bends, 1)
    costs = _cost(fits.unexplained[bends], freedom, fits.seeds) + _volumes(grid)[:, None] * fits.seeds.number
    if bends:
        corners = np.stack([corners_of(basis.gram, own) for basis, own in zip(grid.bases, places, strict=True)])
        costs += np.linalg.slogdet(corners)[1]
    weights = np.exp((costs.min(0) - costs) / 2)
    shares: Float64[np.ndarray, "kinds curves"] = weights / weights.sum(0)
    return shares
