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
# Numbers in one array of intermediate results: with a dozen of these, what a core's own cache holds; and so many that
# other threads have time to work while NumPy is at it.
_CHUNK = 65_536
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
    """A bend whose neighbours have not moved stays where it is."""
    explained, stale = np.zeros(len(places)), np.ones(places.shape, dtype=bool)
    for _ in range(_SWEEPS):
        for bend in range(places.shape[1]):
            rows = np.flatnonzero(stale[:, bend])
            if not len(rows):
                continue
            # Most often all: then without a copy.
            own = slice(None) if len(rows) == len(places) else rows
            place, explained[own] = _best_place(grid, kinds[own], products[:, own], places[own], bend)
            moved = np.abs(place - places[own, bend]) > within
            places[own, bend], stale[rows[moved]], stale[own, bend] = place, True, False
        if not stale.any():
            break
    return places, explained


def _best_place(
    grid: Grid,
    kinds: Int[np.ndarray, "curves"],
    products: Float64[np.ndarray, "n curves"],
    places: Float64[np.ndarray, "curves k"],
    bend: int,
) -> tuple[Float64[np.ndarray, "curves"], Float64[np.ndarray, "curves"]]:
    """Where one bend explains most given the others, and what all explain then."""
    n = len(grid.x)
    edges = np.zeros((2, len(places)))
    edges[0], edges[1] = (
        places[:, bend - 1] if bend else 0,
        places[:, bend + 1] if bend + 1 < places.shape[1] else n - 1,
    )
    low, high = (np.ceil(edges[0] - _SAME) + 1).astype(np.int64), (np.floor(edges[1] + _SAME) - 1).astype(np.int64)
    # Only checkpoints between the neighbours of some curve's bend are looked at.
    first, end = int(low.min()), int(high.max()) + 1
    along, lengths, alike, explained = _without(grid, kinds, products, np.delete(places, bend, axis=1), first, end)
    at = np.arange(first, end)[:, None]
    allowed = (at >= low) & (at <= high)
    gains = along * along
    # Between two checkpoints: both columns at once, where their coefficients have one sign.
    product, total, square = along[:-1] * along[1:], gains[:-1] + gains[1:], alike * alike
    one_sign = product * (1 + square) > alike * total
    one_sign &= allowed[:-1] & allowed[1:]
    one_sign &= square < 1 - _SAME
    np.copyto(square, 0.0, where=~one_sign)
    product *= alike
    product *= -2
    product += total
    product /= 1 - square
    np.copyto(gains, -1.0, where=~allowed)
    columns = np.arange(len(places))
    on = gains.argmax(0)
    gain, place = gains[on, columns], (on + first).astype(np.float64)
    if len(product):
        np.copyto(product, -1.0, where=~one_sign)
        off = product.argmax(0)
        better = np.flatnonzero(product[off, columns] > gain)
        here, beyond = (off[better], better), (off[better] + 1, better)
        start = (along[here] - alike[here] * along[beyond]) / lengths[here]
        stop = (along[beyond] - alike[here] * along[here]) / lengths[beyond]
        gain[better], place[better] = product[here], first + off[better] + stop / (start + stop)
    return place, explained + gain


def _without(grid: Grid, kinds: Any, products: Any, others: Any, first: int, end: int) -> tuple[Any, Any, Any, Any]:
    """The columns of some checkpoints once other bends are taken out of them and of the curve.

    Returns: their products with the curve, as of unit vectors; their lengths; the cosines of neighbours; and what the
    other bends explain. These are taken out one after the other (Gram and Schmidt).
    """
    left, spread, next_to = products[first:end], grid.squares[first:end], grid.neighbours[first : end - 1]
    spread, next_to, explained = spread[:, kinds], next_to[:, kinds], np.zeros(len(others))
    window, columns, n = grid.grams[first:end], np.arange(len(others)), len(grid.x)
    places = [(floor, kinds * n + floor, share) for floor, share in zip(*split(others.T, n), strict=True)]

    def product(one: Any, other: Any) -> Any:
        """Of the columns at two places."""
        (floor, _, along), (_, own, share) = one, other
        low, high = (_mixed(grid.grams[at, own], grid.grams[at, own + 1], share) for at in (floor, floor + 1))
        return _mixed(low, high, along)

    units: list[Any] = []
    roots: list[Any] = []
    along: list[Any] = []
    for place in places:
        floor, own, share = place
        root: list[Any] = []
        for before, known in zip(places, roots, strict=False):
            shared = product(before, place) - sum(a * b for a, b in zip(root, known, strict=False))
            root.append(shared / known[-1])
        length = np.sqrt(product(place, place) - sum(value**2 for value in root))
        unit = _mixed(window.take(own, 1), window.take(own + 1, 1), share)
        curve = _mixed(products[floor, columns], products[floor + 1, columns], share)
        for value, earlier, gain in zip(root, units, along, strict=True):
            unit -= value * earlier
            curve -= value * gain
        unit /= length
        curve /= length
        left = left - curve * unit
        spread -= unit * unit
        next_to -= unit[:-1] * unit[1:]
        explained += curve * curve
        units, roots, along = [*units, unit], [*roots, [*root, length]], [*along, curve]
    lengths = np.sqrt(np.maximum(spread, grid.floors[first:end, kinds]))
    return left / lengths, lengths, next_to / (lengths[:-1] * lengths[1:]), explained


def _mixed(at: Any, beyond: Any, share: Any) -> Any:
    """What lies between two checkpoints."""
    beyond -= at
    beyond *= share
    beyond += at
    return beyond
