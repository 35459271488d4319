"""How sure are boundaries, slopes and the peak? The curve is drawn anew around its fit, and fitted again.

Errors are drawn with the autocorrelation that the fit found; where several seeds are given, seeds are drawn too. The
number of phases is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from phasescope.measures._phase_choice import Fits, plausibility
from phasescope.measures._segment_search import refined
from phasescope.measures._segmented import Basis, bends_of, between, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float64, Int

# Of a checkpoint: far less than the width of any interval.
_NEAR = 0.03
# The covariance of seeds is that of the seeds at hand and, as if these were so many seeds more, of the kind of error.
_PRIOR_SEEDS = 4


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in one curve, and what each resample of it finds.

    Attributes:
        kind: of the errors: a number of the grid's bases.
        places: `[bends]`, counted in checkpoints.
        slopes: `[bends + 1]`, per unit of x.
        redrawn: for each way to draw `[resamples, 2·bends + 1]`: places, and then slopes.
        peaks: `[resamples]`: at which checkpoint the curve with errors is highest.
    """

    kind: int
    places: Float64[np.ndarray, "bends"]
    slopes: Float64[np.ndarray, "phases"]
    redrawn: tuple[Float64[np.ndarray, "resamples found"], ...]
    peaks: Int[np.ndarray, "resamples"]

    def interval(self, level: float) -> tuple[Float64[np.ndarray, "found"], Float64[np.ndarray, "found"]]:
        """Of places, and then slopes: the widest percentile interval of several ways to draw, made to hold the fit."""
        edges = np.array([np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0) for drawn in self.redrawn])
        fit = np.concatenate([self.places, self.slopes])
        low, high = np.minimum(edges[:, 0].min(0), fit), np.maximum(edges[:, 1].max(0), fit)
        # At which moment between two checkpoints a jump begins, and at which it ends, nothing tells.
        begins, ends = np.ceil(self.places[:-1]), np.floor(self.places[1:])
        jumps, bends = ends - begins <= 1, len(self.places)
        begin, end = slice(0, max(bends - 1, 0)), slice(1, bends)
        high[begin] = np.where(jumps & (high[begin] >= begins), np.maximum(high[begin], ends), high[begin])
        low[end] = np.where(jumps & (low[end] <= ends), np.minimum(low[end], begins), low[end])
        return low, high


@dataclass(frozen=True, eq=False)
class _Part:
    """Whitened errors `[draws, n − 1]` for one curve under one kind of error."""

    curve: int
    kind: int
    errors: Float64[np.ndarray, "draws left"]


def redrawn(
    fits: Fits,
    bends: Int[np.ndarray, "curves"],
    curves: Sequence[Float64[np.ndarray, "seeds n"]],
    resamples: int,
    seed: int,
) -> list[Found]:
    """Each curve with its number of bends, and what is found with errors drawn anew.

    Errors are of each kind as often as it is plausible; of several seeds, seeds are drawn anew too.
    """
    found: dict[int, Found] = {}
    for number in np.unique(bends).tolist():
        these, shares, best = np.flatnonzero(bends == number), plausibility(fits, number), fits.cost[number].argmin(0)
        ways: dict[int, list[list[_Part]]] = {}
        for curve in these.tolist():
            generator = np.random.default_rng(seed)
            ways[curve] = [_with_errors(fits, number, curve, shares[:, curve], resamples, generator)]
            if fits.seeds.number[curve] > 1:
                ways[curve].append([_with_seeds(fits, curve, int(best[curve]), curves[curve], resamples, generator)])
        found |= _found(fits, number, curves, best, ways)
    return [found[curve] for curve in range(len(curves))]


def _with_errors(
    fits: Fits,
    bends: int,
    curve: int,
    shares: Float64[np.ndarray, "kinds"],
    resamples: int,
    generator: np.random.Generator,
) -> list[_Part]:
    """With errors of the mean curve drawn anew."""
    seeds, left = fits.seeds, len(fits.grid.x) - 1
    freedom, own, parts = max(left - 1 - 2 * bends, 1), int(seeds.freedom[curve]), []
    for kind, draws in enumerate(generator.multinomial(resamples, shares).tolist()):
        if draws:
            # Of which size errors are is not known exactly either.
            variance = fits.unexplained[bends, kind, curve] / generator.chisquare(freedom, draws)
            if own:
                of_one = seeds.apart[kind, curve] / generator.chisquare(own, draws)
                variance = np.minimum(variance, seeds.most[curve] * of_one)
            parts.append(_Part(curve, kind, np.sqrt(variance)[:, None] * generator.standard_normal((draws, left))))
    return parts


def _with_seeds(
    fits: Fits,
    curve: int,
    kind: int,
    seeds: Float64[np.ndarray, "seeds n"],
    resamples: int,
    generator: np.random.Generator,
) -> _Part:
    """With seeds drawn anew, as from a normal distribution of which these are a sample (so Student's t)."""
    number, error = len(seeds), fits.grid.bases[kind].error
    apart = (seeds - seeds.mean(0)) @ error.whiten.T
    size = np.sqrt(_PRIOR_SEEDS * fits.seeds.apart[kind, curve] / fits.seeds.freedom[curve])
    freedom = number - 1 + _PRIOR_SEEDS
    errors = generator.standard_normal((resamples, number)) @ apart
    errors += size * generator.standard_normal((resamples, apart.shape[1]))
    errors /= np.sqrt(number * generator.chisquare(freedom, resamples))[:, None]
    return _Part(curve, kind, errors)


def _found(
    fits: Fits,
    bends: int,
    curves: Sequence[Float64[np.ndarray, "seeds n"]],
    best: Int[np.ndarray, "curves"],
    ways: dict[int, list[list[_Part]]],
) -> dict[int, Found]:
    """All draws of curves with so many bends, fitted at once; before those of a curve, the curve without errors."""
    bases, none = fits.grid.bases, np.zeros((1, len(fits.grid.x) - 1))
    parts = [
        part for curve, some in ways.items() for way in ([_Part(curve, int(best[curve]), none)], *some) for part in way
    ]
    fitted = _fitted(fits, bends)
    products = np.concatenate([fitted[p.kind, p.curve] + p.errors @ bases[p.kind].columns for p in parts])
    along = np.concatenate([(fits.whitened[p.kind, p.curve] + p.errors) @ bases[p.kind].error.trend for p in parts])
    draws = [len(part.errors) for part in parts]
    kinds = np.repeat([part.kind for part in parts], draws)
    places = np.repeat([fits.places[bends][part.kind, part.curve] for part in parts], draws, axis=0)
    places, _ = refined(fits.grid, kinds, products, places, _NEAR)
    slopes = np.zeros((len(places), bends + 1))
    for kind in np.unique(kinds).tolist():
        own = kinds == kind
        slopes[own] = _slopes(bases[kind], places[own], products[own], along[own])
    drawn, found, begin = np.concatenate([places, slopes], 1), {}, 0
    for curve, some in ways.items():
        kind, mean = int(best[curve]), curves[curve].mean(0)
        ends = begin + 1 + np.cumsum([0, *(sum(len(part.errors) for part in way) for way in some)])
        draws_of = tuple(drawn[low:high] for low, high in pairwise(ends.tolist()))
        # Errors are added to the curve itself, not to its fit: a peak may be rounder than a bend. Where there are
        # seeds, they tell how sure it is.
        peaks = [(mean + part.errors @ bases[part.kind].error.unwhiten.T).argmax(1) for part in some[-1]]
        found[curve] = Found(kind, fits.places[bends][kind, curve], slopes[begin], draws_of, np.concatenate(peaks))
        begin = int(ends[-1])
    return found


def _fitted(fits: Fits, bends: int) -> Float64[np.ndarray, "kinds curves n"]:
    """Products of the columns with the fits."""
    return np.stack(
        [
            np.einsum("ck,ckn->cn", bends_of(basis.gram, products, places), rows_of(basis.gram, places))
            for basis, products, places in zip(fits.grid.bases, fits.products, fits.places[bends], strict=True)
        ]
    )


def _slopes(
    basis: Basis,
    places: Float64[np.ndarray, "curves k"],
    products: Float64[np.ndarray, "curves n"],
    along: Float64[np.ndarray, "curves"],
) -> Float64[np.ndarray, "curves phases"]:
    changes = bends_of(basis.gram, products, places)
    trend = basis.error.trend
    first = (along - (changes * between(basis.along_trend, places)).sum(1)) / (trend @ trend)
    slopes: Float64[np.ndarray, "curves phases"] = first[:, None] + np.cumsum(np.pad(changes, ((0, 0), (1, 0))), 1)
    return slopes
