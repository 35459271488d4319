"""The best continuous piecewise-linear curve with so many bends, exactly where that is affordable.

Two steps: among all sets of bends at checkpoints (`best_sets`), then each bend in turn to its best place between its
neighbours (`refined`). Both work on many curves at once, a column for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.measures._segmented import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Float64, Int

    from phasescope.measures._segmented import Basis, Grid, Sets

_SWEEPS = 12
_SAME = 1e-9
# Numbers in one array of intermediate results: with a dozen of these, what a core's own cache holds.
_CHUNK = 16_384
# Sets times curves whose gains are held at once.
_GAINS = 500_000


def best_sets(
    basis: Basis, sets: tuple[Sets, ...], products: Float64[np.ndarray, "curves n"]
) -> list[Int[np.ndarray, "curves bends"]]:
    """For 1, 2, … bends the best places among all sets that are tried, for each curve.

    products: of the columns with the whitened curves.
    """
    best = [np.zeros((len(products), some.places.shape[1]), dtype=np.int64) for some in sets]
    for some_curves in _chunks(len(products), _GAINS // max((len(some.places) for some in sets), default=1)):
        columns = np.ascontiguousarray(products[some_curves].T)
        gain = np.zeros((1, columns.shape[1]))
        for found, some, direction in zip(best, sets, basis.directions, strict=False):
            gain = gain[some.prefix] + (direction @ columns) ** 2
            found[some_curves] = some.places[gain.argmax(0)]
    return best


def refined(
    grid: Grid,
    kinds: Int[np.ndarray, "curves"],
    products: Float64[np.ndarray, "curves n"],
    places: Float64[np.ndarray, "curves k"],
    within: float = _SAME,
) -> tuple[Float64[np.ndarray, "curves k"], Float64[np.ndarray, "curves"]]:
    """Better places for the bends of each curve, between checkpoints too, and the sum of squares they explain.

    Each bend in turn goes to the best place between its neighbours, until none moves: an exact search along each bend.
    Every phase holds two checkpoints or more, its ends among them: fewer would not tell its slope. A phase of exactly
    two is a jump.
    Places are counted in checkpoints: 3.5 lies halfway (in x) between the fourth and the fifth.

    kinds: which of the grid's bases each curve's products are with.
    within: a bend that moves less than this does not move.
    """
    places, explained = places.astype(np.float64), np.zeros(len(places))
    if places.shape[1]:
        for rows in _chunks(len(places), _CHUNK // len(grid.x)):
            places[rows], explained[rows] = _swept(
                grid, kinds[rows], np.ascontiguousarray(products[rows].T), places[rows].copy(), within
            )
    return places, explained


def _chunks(number: int, size: int) -> Iterator[slice]:
    size = max(size, 1)
    return (slice(start, start + size) for start in range(0, number, size))


def _swept(grid: Grid, kinds: Any, products: Any, places: Any, within: float) -> tuple[Any, Any]:
    explained, moving = np.zeros(len(places)), np.arange(len(places))
    for _ in range(_SWEEPS):
        now, before = places[moving], places[moving]
        for bend in range(places.shape[1]):
            now[:, bend], gain = _best_place(grid, kinds, products, now, bend)
        places[moving], explained[moving] = now, gain
        still = (np.abs(now - before) > within).any(1)
        if not still.any():
            break
        moving, kinds, products = moving[still], kinds[still], products[:, still]
    return places, explained


def _best_place(
    grid: Grid,
    kinds: Int[np.ndarray, "curves"],
    products: Float64[np.ndarray, "n curves"],
    places: Float64[np.ndarray, "curves k"],
    bend: int,
) -> tuple[Float64[np.ndarray, "curves"], Float64[np.ndarray, "curves"]]:
    """Where one bend explains most given the others, and what all explain then."""
    n, curves = products.shape
    along, lengths, alike, explained = _without(grid, kinds, products, np.delete(places, bend, axis=1))
    ends = np.pad(places, ((0, 0), (1, 1)), constant_values=((0, 0), (0.0, n - 1.0)))
    at = np.arange(n)[:, None]
    allowed = (at > np.ceil(ends[:, bend] - _SAME)) & (at < np.floor(ends[:, bend + 2] + _SAME))
    gains = along * along
    # Between two checkpoints: both columns at once, where their coefficients have one sign.
    product, total, square = along[:-1] * along[1:], gains[:-1] + gains[1:], alike * alike
    one_sign = product * (1 + square) > alike * total
    one_sign &= allowed[:-1] & allowed[1:]
    one_sign &= square < 1 - _SAME
    np.copyto(square, 0.0, where=~one_sign)
    gains_between = np.where(one_sign, (total - 2 * alike * product) / (1 - square), -1.0)
    gains[~allowed] = -1.0
    columns = np.arange(curves)
    on, off = gains.argmax(0), gains_between.argmax(0)
    gain = gains_between[off, columns]
    better = gain > gains[on, columns]
    cosine, here, beyond = alike[off, columns], (off, columns), (off + 1, columns)
    first = (along[here] - cosine * along[beyond]) / lengths[here]
    second = (along[beyond] - cosine * along[here]) / lengths[beyond]
    share = np.where(better, second, 0.0) / np.where(better, first + second, 1.0)
    place = np.where(better, off + share, on)
    return place, explained + np.where(better, gain, gains[on, columns])


def _without(grid: Grid, kinds: Any, products: Any, others: Any) -> tuple[Any, Any, Any, Any]:
    """All columns once some bends are taken out of them and of the curve.

    Returns: their products with the curve, as of unit vectors; their lengths; the cosines of neighbours; and what those
    bends explain. Bends are taken out one after the other (Gram and Schmidt).
    """
    n, grams = len(grid.x), grid.grams
    own = grams.reshape(n, len(grid.bases), n)
    squares, next_to = np.einsum("iki->ik", own), np.einsum("iki->ik", own[:-1, :, 1:])
    left, spread, next_to = products, squares[:, kinds], next_to[:, kinds]
    floor = _SAME * np.maximum(squares, _SAME * squares.max(0))[:, kinds]
    explained = np.zeros(products.shape[1])
    columns, first = np.arange(products.shape[1]), kinds * n
    checkpoints, shares = split(others.T, n)
    rows = [
        grams[:, first + checkpoint] * (1 - share) + grams[:, first + checkpoint + 1] * share
        for checkpoint, share in zip(checkpoints, shares, strict=True)
    ]
    for number, row in enumerate(rows):

        def here(values: Any, place: int = number) -> Any:
            low = values[checkpoints[place], columns]
            return low + shares[place] * (values[checkpoints[place] + 1, columns] - low)

        length = np.sqrt(here(row))
        row /= length
        along = here(left) / length
        left = left - along * row
        spread -= row * row
        next_to -= row[:-1] * row[1:]
        explained += along**2
        for later in range(number + 1, len(rows)):
            rows[later] -= here(row, later) * row
    # A column that the others hold already adds nothing.
    np.copyto(spread, np.inf, where=spread < floor)
    lengths = np.sqrt(spread)
    return left / lengths, lengths, next_to / (lengths[:-1] * lengths[1:]), explained
