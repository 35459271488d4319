"""How many phases, where, and with which kind of error: the fit that an information criterion prefers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.measures._segmented import Basis, Grid, best_sets, corner_of, refined

if TYPE_CHECKING:
    from jaxtyping import Float64

# What a value is known to, as a share of the curve's range: KL and the like are computed in float32.
_PRECISION = 1e-6
# What the search for a boundary may gain in −2 log likelihood where there is none.
_SEARCH = 7


@dataclass(frozen=True, eq=False)
class Fit:
    """The best fit of a curve with so many bends under one kind of error.

    Attributes:
        places: of the bends, counted in checkpoints.
        unexplained: sum of squares of whitened errors.
        cost: −2 log likelihood, up to a constant of the grid.
    """

    basis: Basis
    places: Float64[np.ndarray, "bends"]
    unexplained: float
    cost: float


def penalty(boundaries: int, points: int) -> float:
    """What so many boundaries must gain in −2 log likelihood over none, to be preferred.

    Of the j-th (2 ln n + 7)·(n − 2)/(n − 2 − j): a BIC of two parameters per boundary, its place and the slope after
    it, and 7 for what the search among all places and all kinds of error finds in any curve; the more so, the fewer
    points are left to tell errors from. Such a modification is what a BIC for breaks needs (Zhang & Siegmund 2007); its
    size was found by simulation, as the smallest whole number at which on every grid clearly fewer than 5 % of random
    walks get a boundary (docs/analyses/phases.md).
    """
    each = 2 * math.log(points) + _SEARCH
    return sum(each * (points - 2) / max(points - 2 - j, 1) for j in range(1, boundaries + 1))


def fits_of(grid: Grid, curves: Float64[np.ndarray, "curves n"], most: int) -> list[list[list[Fit]]]:
    """For each curve and each number of bends, 0, 1, … `most`: its best fit under each kind of error.

    Curves have a range of about 1.
    """
    n = curves.shape[1]
    found: list[list[list[Fit]]] = [[[] for _ in range(1 + len(grid.sets[:most]))] for _ in curves]
    for basis in grid.bases:
        whitened = curves @ basis.error.whiten.T
        products = whitened @ basis.columns
        line = basis.error.trend / np.linalg.norm(basis.error.trend)
        total = (whitened**2).sum(1) - (whitened @ line) ** 2
        floor = _PRECISION**2 * float((basis.error.whiten**2).sum())
        fits = [(np.zeros((len(curves), 0)), np.zeros(len(curves)))]
        fits += [refined(basis.gram, products, places) for places in best_sets(basis, grid.sets[:most], products)]
        for bends, (places, explained) in enumerate(fits):
            left = np.maximum(total - explained, floor)
            costs = (n - 2) * np.log(left) + basis.error.log_determinant
            for row, of_curve in enumerate(found):
                of_curve[bends].append(Fit(basis, places[row], float(left[row]), float(costs[row])))
    return found


def chosen_of(fits: Sequence[Sequence[Fit]], points: int) -> tuple[list[Fit], float]:
    """The number of bends that the criterion prefers: its fits, best first; by how much it beats a line."""
    criterion = [min(fit.cost for fit in some) + penalty(bends, points) for bends, some in enumerate(fits)]
    bends = int(np.argmin(criterion))
    return sorted(fits[bends], key=lambda fit: fit.cost), criterion[0] - criterion[bends]


def plausibility(fits: Sequence[Fit], points: int) -> Float64[np.ndarray, "fits"]:
    """How plausible each kind of error is, given these bends: shares that sum to 1.

    From the restricted likelihood, in which what the bends explain does not count as evidence for small errors.
    """
    costs = np.array([_restricted_cost(fit, points) for fit in fits])
    weights = np.exp((costs.min() - costs) / 2)
    shares: Float64[np.ndarray, "fits"] = weights / weights.sum()
    return shares


def _restricted_cost(fit: Fit, points: int) -> float:
    bends = len(fit.places)
    volume = float(np.linalg.slogdet(corner_of(fit.basis.gram, fit.places))[1]) if bends else 0.0
    freedom = max(points - 2 - bends, 1)
    return fit.cost + (freedom - (points - 2)) * math.log(fit.unexplained) + volume
