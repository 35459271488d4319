"""Grids of checkpoints, and the columns by which a continuous piecewise-linear curve is fitted on them.

A bend at a place p adds the column max(x − p, 0) to a regression on a line. At the checkpoints, the column of a place
between two of them is a mixture of the columns of both (Hudson 1966). So all that is needed of a grid of steps is the
Gram matrix of the columns of its checkpoints, and of a curve its products with them: neither the search nor the
bootstrap (`_segment_search`) touches the curves again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from math import comb
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._autocorrelated import ErrorModel, error_models

if TYPE_CHECKING:
    from jaxtyping import Float64, Int

MOST_BENDS = 5
# Sets of bends that are all tried; where there are more, bends are first looked for at fewer places.
_AFFORDABLE = 30_000
_SAME = 1e-9
# Threads that need the same grid make it once.
_MAKING = Lock()


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
        directions: for each number of bends `[sets, n]`, sparse: what the last bend of a set adds, as a unit vector.
    """

    error: ErrorModel
    columns: Float64[np.ndarray, "left checkpoints"]
    gram: Float64[np.ndarray, "checkpoints checkpoints"]
    along_trend: Float64[np.ndarray, "checkpoints"]
    directions: tuple[Any, ...]

    def left(self, whitened: Float64[np.ndarray, "... left"]) -> Float64[np.ndarray, "..."]:
        """Sum of squares of whitened curves without their line."""
        line = self.error.trend / np.linalg.norm(self.error.trend)
        squares = (whitened**2).sum(-1) - np.einsum("...m,m->...", whitened, line) ** 2
        left: Float64[np.ndarray, "..."] = np.maximum(squares, 0)
        return left


@dataclass(frozen=True, eq=False)
class Grid:
    """Everything about a grid of steps that does not depend on the curve."""

    x: Float64[np.ndarray, "checkpoints"]
    sets: tuple[Sets, ...]
    bases: tuple[Basis, ...]

    @cached_property
    def grams(self) -> Float64[np.ndarray, "checkpoints kinds*checkpoints"]:
        """The Gram matrices of all kinds of errors, side by side."""
        return np.concatenate([basis.gram for basis in self.bases], 1)

    @cached_property
    def squares(self) -> Float64[np.ndarray, "checkpoints kinds"]:
        """Of the columns' lengths."""
        return np.stack([np.diag(basis.gram) for basis in self.bases], 1)

    @cached_property
    def neighbours(self) -> Float64[np.ndarray, "left kinds"]:
        """Products of each column with the next."""
        return np.stack([np.diag(basis.gram, 1) for basis in self.bases], 1)

    @cached_property
    def floors(self) -> Float64[np.ndarray, "checkpoints kinds"]:
        """Squares under which a column is one that others hold already: it adds nothing."""
        floors: Float64[np.ndarray, "checkpoints kinds"] = np.maximum(self.squares, _SAME * self.squares.max(0)) * _SAME
        return floors


def grid_of(steps: tuple[float, ...], most: int = MOST_BENDS) -> Grid:
    """The grid of these ascending steps, four or more."""
    with _MAKING:
        return _made(steps, most)


@lru_cache(maxsize=16)
def _made(steps: tuple[float, ...], most: int) -> Grid:
    x = np.log1p(np.asarray(steps, dtype=np.float64))
    sets = tuple(_all_sets(x, most))
    return Grid(x, sets, tuple(_basis(error, x, sets) for error in error_models(x)))


def _all_sets(x: Float64[np.ndarray, "n"], most: int) -> list[Sets]:
    found: list[Sets] = []
    candidates, known = np.arange(1, len(x) - 1), np.zeros(1, dtype=np.int64)
    # A bend has two parameters, its place and the slope after it, and two numbers must be left to tell errors from.
    for bends in range(1, min(most, (len(x) - 4) // 2) + 1):
        while comb(len(candidates), bends) > _AFFORDABLE:
            candidates = _thinned(candidates, x)
        places = np.array(list(combinations(candidates.tolist(), bends)), dtype=np.int64)
        if not len(places):
            break
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
    return Basis(error, columns, gram, along_trend, tuple(_directions(gram, some.places) for some in sets))


def _directions(gram: Float64[np.ndarray, "n n"], places: Int[np.ndarray, "sets k"]) -> Any:
    from scipy.sparse import csr_array

    root = np.linalg.cholesky(gram[places[:, :, None], places[:, None, :]])
    last = np.zeros((*places.shape, 1))
    last[:, -1] = 1
    # The last row of the inverse of the root.
    rows = np.linalg.solve(root.transpose(0, 2, 1), last)[..., 0]
    sets, bends = places.shape
    return csr_array((rows.ravel(), places.ravel(), np.arange(sets + 1) * bends), shape=(sets, len(gram)))


def rows_of(gram: Float64[np.ndarray, "n n"], places: Float64[np.ndarray, "... k"]) -> Float64[np.ndarray, "... k n"]:
    """Products of the columns at places between checkpoints with those of the checkpoints."""
    floor, share = split(places, len(gram))
    rows: Float64[np.ndarray, "... k n"] = (1 - share[..., None]) * gram[floor] + share[..., None] * gram[floor + 1]
    return rows


def corners_of(
    gram: Float64[np.ndarray, "n n"], places: Float64[np.ndarray, "... k"]
) -> Float64[np.ndarray, "... k k"]:
    """Products of the columns at places between checkpoints with each other."""
    floor, share = split(places, len(gram))
    own, other = floor[..., :, None], floor[..., None, :]
    along, across = share[..., :, None], share[..., None, :]
    here = (1 - across) * gram[own, other] + across * gram[own, other + 1]
    beyond = (1 - across) * gram[own + 1, other] + across * gram[own + 1, other + 1]
    corners: Float64[np.ndarray, "... k k"] = (1 - along) * here + along * beyond
    return corners


def split(places: Any, n: int) -> tuple[Any, Any]:
    """The checkpoint before each place, and how far it is to the next."""
    floor = np.clip(places.astype(np.int64), 0, n - 2)
    return floor, places - floor


def between(values: Float64[np.ndarray, "n"], places: Float64[np.ndarray, "... k"]) -> Float64[np.ndarray, "... k"]:
    """Values of checkpoints, read off at places between them."""
    read: Float64[np.ndarray, "... k"] = np.interp(places, np.arange(len(values)), values)
    return read


def read_at(
    values: Float64[np.ndarray, "curves n"], places: Float64[np.ndarray, "curves k"]
) -> Float64[np.ndarray, "curves k"]:
    """The same of values of each curve."""
    floor, share = split(places, values.shape[1])
    rows = np.arange(len(values))[:, None]
    read: Float64[np.ndarray, "curves k"] = (1 - share) * values[rows, floor] + share * values[rows, floor + 1]
    return read


def bends_of(
    gram: Float64[np.ndarray, "n n"], products: Float64[np.ndarray, "curves n"], places: Float64[np.ndarray, "curves k"]
) -> Float64[np.ndarray, "curves k"]:
    """By how much the slope changes at each bend."""
    if not places.shape[1]:
        return np.zeros(places.shape)
    along = read_at(products, places)
    changes: Float64[np.ndarray, "curves k"] = np.linalg.solve(corners_of(gram, places), along[..., None])[..., 0]
    return changes
