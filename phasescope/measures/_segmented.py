"""The best continuous piecewise-linear curve with so many bends, exactly where that is affordable.

A bend at a place p adds the column max(x − p, 0) to a regression on a line. At the checkpoints, the column of a place
between two of them is a mixture of the columns of both (Hudson 1966). So all that is needed of a grid of steps is the
Gram matrix of the columns of its checkpoints, and of a curve its products with them: neither the search nor the
bootstrap touches the curves again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._autocorrelated import ErrorModel, error_models

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

MOST_BENDS = 5
# A phase between two others spans two intervals between checkpoints or more; the first and the last may be one long:
# an untrained model and the next checkpoint are often worlds apart.
SHORTEST = 2
_AT_ENDS = 1
# Sets of bends that are all tried; where there are more, bends are first looked for at fewer places.
_AFFORDABLE = 30_000
_SWEEPS = 12
_SAME = 1e-9


@dataclass(frozen=True, eq=False)
class Sets:
    """All sets of k bends at checkpoints, each a set of k − 1 and one later bend.

    Attributes:
        places: `[sets, k]` checkpoints.
        prefix: `[sets]`: which set of k − 1 it begins with.
    """

    places: Int[np.ndarray, "sets bends"]
    prefix: Int[np.ndarray, "sets"]


@dataclass(frozen=True, eq=False)
class Basis:
    """The columns of a grid of steps under one kind of error, the line already taken out.

    Attributes:
        columns: `[n − 1, n]`, whitened, orthogonal to the whitened line.
        gram: `[n, n]`: their products.
        along_trend: `[n]`: products of the columns, the line still in them, with the whitened x.
        directions: for each number of bends `[sets, bends]`: what the last bend of a set adds, as a unit vector.
    """

    error: ErrorModel
    columns: Float64[np.ndarray, "left checkpoints"]
    gram: Float64[np.ndarray, "checkpoints checkpoints"]
    along_trend: Float64[np.ndarray, "checkpoints"]
    directions: tuple[Float64[np.ndarray, "sets bends"], ...]


@dataclass(frozen=True, eq=False)
class Grid:
    """Everything about a grid of steps that does not depend on the curve."""

    x: Float64[np.ndarray, "checkpoints"]
    sets: tuple[Sets, ...]
    bases: tuple[Basis, ...]


@lru_cache(maxsize=16)
def grid_of(steps: tuple[float, ...], most: int = MOST_BENDS) -> Grid:
    """The grid of these ascending steps, four or more."""
    x = np.log1p(np.asarray(steps, dtype=np.float64))
    sets = tuple(_all_sets(x, most))
    return Grid(x, sets, tuple(_basis(error, x, sets) for error in error_models(x)))


def _all_sets(x: Float64[np.ndarray, "n"], most: int) -> list[Sets]:
    found: list[Sets] = []
    candidates, known = np.arange(_AT_ENDS, len(x) - _AT_ENDS), np.zeros(1, dtype=np.int64)
    for bends in range(1, most + 1):
        while comb(max(len(candidates) - bends + 1, 0), bends) > _AFFORDABLE:
            candidates = _thinned(candidates, x)
        # Of candidates in order none takes its neighbour too: bends are at least SHORTEST apart.
        chosen = np.array(list(combinations(range(len(candidates) - bends + 1), bends)), dtype=np.int64)
        if not len(chosen):
            break
        places = candidates[chosen + np.arange(bends)]
        keys = places @ len(x) ** np.arange(bends)[::-1]
        found.append(Sets(places, np.searchsorted(known, keys // len(x))))
        known = keys
    return found


def _thinned(candidates: Int[np.ndarray, "candidates"], x: Float64[np.ndarray, "n"]) -> Int[np.ndarray, "fewer"]:
    """One fewer: without the place that is closest to its neighbours, so that all of x stays covered."""
    room = x[candidates[2:]] - x[candidates[:-2]]
    return np.delete(candidates, 1 + int(room.argmin()))


def _basis(error: ErrorModel, x: Float64[np.ndarray, "n"], sets: tuple[Sets, ...]) -> Basis:
    line = error.trend / np.linalg.norm(error.trend)
    columns = error.whiten @ np.maximum(x[:, None] - x, 0)
    along_trend = error.trend @ columns
    columns -= np.outer(line, line @ columns)
    gram = columns.T @ columns
    directions = []
    for some in sets:
        root = np.linalg.cholesky(gram[some.places[:, :, None], some.places[:, None, :]])
        last = np.zeros((len(root), root.shape[1], 1))
        last[:, -1] = 1
        # The last row of the inverse of the root.
        directions.append(np.linalg.solve(root.transpose(0, 2, 1), last)[..., 0])
    return Basis(error, columns, gram, along_trend, tuple(directions))


def best_sets(
    basis: Basis, sets: tuple[Sets, ...], products: Float64[np.ndarray, "curves n"]
) -> list[Int[np.ndarray, "curves bends"]]:
    """For 1, 2, … bends the best places among all sets that are tried, for each curve.

    products: of the columns with the whitened curves.
    """
    best = [np.zeros((len(products), some.places.shape[1]), dtype=np.int64) for some in sets]
    for row, of_curve in enumerate(products):
        gain = np.zeros(1)
        for number, (some, direction) in enumerate(zip(sets, basis.directions, strict=True)):
            gain = gain[some.prefix] + np.einsum("sk,sk->s", direction, of_curve[some.places]) ** 2
            best[number][row] = some.places[gain.argmax()]
    return best


def refined(
    gram: Float64[np.ndarray, "n n"],
    products: Float64[np.ndarray, "curves n"],
    places: Float64[np.ndarray, "curves k"],
    within: float = _SAME,
) -> tuple[Float64[np.ndarray, "curves k"], Float64[np.ndarray, "curves"]]:
    """Better places for the bends of each curve, between checkpoints too, and the sum of squares they explain.

    Each bend in turn goes to the best place between its neighbours, until none moves: an exact search along each bend,
    but for places exactly SHORTEST from a neighbour that lies between checkpoints.
    Places are counted in checkpoints: 3.5 lies halfway (in x) between the fourth and the fifth.

    within: a bend that moves less than this does not move.
    """
    places, explained = places.astype(np.float64), np.zeros(len(places))
    moving = np.arange(len(places))
    for _ in range(_SWEEPS):
        before = places[moving].copy()
        for bend in range(places.shape[1]):
            places[moving, bend], explained[moving] = _best_place(gram, products[moving], places[moving], bend)
        moving = moving[(np.abs(places[moving] - before) > within).any(1)]
        if not len(moving):
            break
    return places, explained


def _best_place(
    gram: Float64[np.ndarray, "n n"],
    products: Float64[np.ndarray, "curves n"],
    places: Float64[np.ndarray, "curves k"],
    bend: int,
) -> tuple[Float64[np.ndarray, "curves"], Float64[np.ndarray, "curves"]]:
    """Where one bend explains most given the others, and what all explain then."""
    others = np.delete(places, bend, axis=1)
    left, spread, next_to, explained = _without(gram, products, others)
    ends = np.pad(places, ((0, 0), (1, 1)), constant_values=((0, 0), (0.0, products.shape[1] - 1.0)))
    last = places.shape[1] - 1
    low = ends[:, bend, None] + (SHORTEST if bend else _AT_ENDS)
    high = ends[:, bend + 2, None] - (SHORTEST if bend < last else _AT_ENDS)
    at = np.arange(products.shape[1])
    gains = np.where((at >= low - _SAME) & (at <= high + _SAME), left**2 / spread, -1.0)
    # Between two checkpoints: both columns at once, where their coefficients have one sign.
    determinant = spread[:, :-1] * spread[:, 1:] - next_to**2
    first = spread[:, 1:] * left[:, :-1] - next_to * left[:, 1:]
    second = spread[:, :-1] * left[:, 1:] - next_to * left[:, :-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        within = second / (first + second)
        both = (first * left[:, :-1] + second * left[:, 1:]) / determinant
        place_between = at[:-1] + within
        fits = (
            (first * second > 0) & (place_between >= low) & (place_between <= high) & (determinant > _SAME * next_to**2)
        )
    gains_between = np.where(fits, both, -1.0)
    rows = np.arange(len(places))
    on, off = gains.argmax(1), gains_between.argmax(1)
    better = gains_between[rows, off] > gains[rows, on]
    gain = np.where(better, gains_between[rows, off], gains[rows, on])
    place = np.where(better, place_between[rows, off], on)
    stays = gain < 0  # its neighbours leave it no checkpoint: it has no better place than its own
    return np.where(stays, places[:, bend], place), explained + np.where(stays, 0.0, gain)


def _without(gram: Any, products: Any, others: Any) -> tuple[Any, Any, Any, Any]:
    """Products, squares and products of neighbours of all columns once those of some bends are taken out."""
    square = np.diag(gram)[None]
    neighbours = np.diag(gram, 1)[None]
    if not others.shape[1]:
        spread = np.maximum(square, _SAME * square.max())
        return products, spread, np.repeat(neighbours, len(products), 0), np.zeros(len(products))
    rows, corner, along = _gram_at(gram, products, others)
    weights = np.linalg.solve(corner, np.concatenate([rows, along[..., None]], -1))  # [curves, others, n + 1]
    left = products - (along[:, None] @ weights[..., :-1])[:, 0]
    spread = square - np.einsum("bkn,bkn->bn", weights[..., :-1], rows)
    next_to = neighbours - np.einsum("bkn,bkn->bn", weights[..., :-2], rows[..., 1:])
    floor = _SAME * np.maximum(square, _SAME * square.max())
    known = spread > floor  # a column that the others hold already adds nothing
    return (
        np.where(known, left, 0.0),
        np.maximum(spread, floor),
        next_to,
        np.einsum("bk,bk->b", along, weights[..., -1]),
    )


def _gram_at(gram: Any, products: Any, places: Any) -> tuple[Any, Any, Any]:
    """Of the columns of bends between checkpoints: products with all columns, with each other, and with the curve."""
    rows = rows_of(gram, places)
    floor, share = _split(places, len(gram))
    shape = (*rows.shape[:2], places.shape[1])
    index, weight = np.broadcast_to(floor[:, None, :], shape), share[:, None, :]
    pick = np.take_along_axis
    corner = (1 - weight) * pick(rows, index, 2) + weight * pick(rows, index + 1, 2)
    along = (1 - share) * pick(products, floor, 1) + share * pick(products, floor + 1, 1)
    return rows, corner, along


def rows_of(gram: Float64[np.ndarray, "n n"], places: Float64[np.ndarray, "... k"]) -> Float64[np.ndarray, "... k n"]:
    """Products of the columns at places between checkpoints with those of the checkpoints."""
    floor, share = _split(places, len(gram))
    rows: Float64[np.ndarray, "... k n"] = (1 - share[..., None]) * gram[floor] + share[..., None] * gram[floor + 1]
    return rows


def corner_of(gram: Float64[np.ndarray, "n n"], places: Float64[np.ndarray, "k"]) -> Float64[np.ndarray, "k k"]:
    """Products of the columns at places between checkpoints with each other."""
    return rows_of(rows_of(gram, places).T, places)


def _split(places: Any, n: int) -> tuple[Any, Any]:
    """The checkpoint before each place, and how far it is to the next."""
    floor = np.clip(places.astype(np.int64), 0, n - 2)
    return floor, places - floor


def between(values: Float64[np.ndarray, "n"], places: Float64[np.ndarray, "... k"]) -> Float64[np.ndarray, "... k"]:
    """Values of checkpoints, read off at places between them."""
    read: Float64[np.ndarray, "... k"] = np.interp(places, np.arange(len(values)), values)
    return read


def bends_of(
    gram: Float64[np.ndarray, "n n"], products: Float64[np.ndarray, "curves n"], places: Float64[np.ndarray, "curves k"]
) -> Float64[np.ndarray, "curves k"]:
    """By how much the slope changes at each bend."""
    if not places.shape[1]:
        return np.zeros(places.shape)
    _, corner, along = _gram_at(gram, products, places)
    changes: Float64[np.ndarray, "curves k"] = np.linalg.solve(corner, along[..., None])[..., 0]
    return changes
