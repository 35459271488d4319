"""How sure are boundaries, slopes and the peak? The curve is drawn anew around its fit, and fitted again.

Errors are drawn with the autocorrelation that the fit found; where several seeds are given, seeds are drawn too. The
number of phases is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from phasescope.measures._phase_choice import Fit, plausibility
from phasescope.measures._segmented import Basis, bends_of, between, refined, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float64


# Of a checkpoint: far less than the width of any interval.
_NEAR = 0.01


@dataclass(frozen=True, eq=False)
class Replicates:
    """What each resample finds.

    Attributes:
        places: `[resamples, bends]`, counted in checkpoints.
        slopes: `[resamples, bends + 1]`.
        errors: `[resamples, n]`: what was drawn.
    """

    places: Float64[np.ndarray, "resamples bends"]
    slopes: Float64[np.ndarray, "resamples phases"]
    errors: Float64[np.ndarray, "resamples checkpoints"]


@dataclass(frozen=True, eq=False)
class FittedCurve:
    """A curve under its fit."""

    fit: Fit
    curve: Float64[np.ndarray, "n"]

    @property
    def basis(self) -> Basis:
        return self.fit.basis

    @cached_property
    def products(self) -> Float64[np.ndarray, "n"]:
        """Of the columns with the curve."""
        products: Float64[np.ndarray, "n"] = self._whitened @ self.basis.columns
        return products

    @cached_property
    def slopes(self) -> Float64[np.ndarray, "phases"]:
        """Of the phases, per unit of x."""
        along = np.array([self._whitened @ self.basis.error.trend])
        slopes: Float64[np.ndarray, "phases"] = self._slopes(self.fit.places[None], self.products[None], along)[0]
        return slopes

    def values(self, x: Float64[np.ndarray, "n"]) -> Float64[np.ndarray, "n"]:
        """The piecewise-linear curve at the checkpoints."""
        edges = np.concatenate([x[:1], between(x, self.fit.places), x[-1:]])
        heights = np.concatenate([[0.0], np.cumsum(np.diff(edges) * self.slopes)])
        shape = np.interp(x, edges, heights)
        values: Float64[np.ndarray, "n"] = shape + (self.curve - shape).mean()
        return values

    def with_errors(self, resamples: int, generator: np.random.Generator) -> Replicates:
        """With errors drawn anew."""
        freedom = max(len(self.curve) - 2 - 2 * len(self.fit.places), 1)
        # Of which size errors are is not known exactly either.
        size = np.sqrt(self.fit.unexplained / generator.chisquare(freedom, resamples))
        return self._refitted(size[:, None] * generator.standard_normal((resamples, len(self.curve) - 1)))

    def with_seeds(
        self, seeds: Float64[np.ndarray, "seeds n"], resamples: int, generator: np.random.Generator
    ) -> Replicates:
        """With seeds drawn anew."""
        number = len(seeds)
        apart = (seeds - self.curve) @ self.basis.error.whiten.T
        counts = generator.multinomial(number, np.full(number, 1 / number), resamples)
        # A mean of n drawn from n varies less than a mean of n by this factor.
        return self._refitted(counts @ apart / number * np.sqrt(number / (number - 1)))

    @property
    def _whitened(self) -> Float64[np.ndarray, "left"]:
        whitened: Float64[np.ndarray, "left"] = self.basis.error.whiten @ self.curve
        return whitened

    def _refitted(self, errors: Float64[np.ndarray, "resamples left"]) -> Replicates:
        places = self.fit.places
        fitted = bends_of(self.basis.gram, self.products[None], places[None])[0] @ rows_of(self.basis.gram, places)
        products = fitted + errors @ self.basis.columns
        found = np.repeat(places[None], len(errors), 0)
        if len(places):
            found, _ = refined(self.basis.gram, products, found, _NEAR)
        along = self._whitened @ self.basis.error.trend + errors @ self.basis.error.trend
        return Replicates(found, self._slopes(found, products, along), errors @ self.basis.error.unwhiten.T)

    def _slopes(
        self,
        places: Float64[np.ndarray, "curves k"],
        products: Float64[np.ndarray, "curves n"],
        along: Float64[np.ndarray, "curves"],
    ) -> Float64[np.ndarray, "curves phases"]:
        changes = bends_of(self.basis.gram, products, places)
        trend = self.basis.error.trend
        first = (along - (changes * between(self.basis.along_trend, places)).sum(1)) / (trend @ trend)
        return np.concatenate([first[:, None], first[:, None] + np.cumsum(changes, 1)], 1)


def redrawn(fits: Sequence[Fit], seeds: Float64[np.ndarray, "seeds n"], resamples: int, seed: int) -> list[Replicates]:
    """With errors drawn anew, of each kind as often as it is plausible; and, of several seeds, with seeds drawn anew.

    fits: with one number of bends under several kinds of error, the best first.
    """
    generator = np.random.default_rng(seed)
    mean = seeds.mean(0)
    counts = generator.multinomial(resamples, plausibility(fits, len(mean)))
    parts = [FittedCurve(fit, mean).with_errors(int(n), generator) for fit, n in zip(fits, counts, strict=True) if n]
    drawn = [_together(parts)]
    if len(seeds) > 1:
        drawn.append(FittedCurve(fits[0], mean).with_seeds(seeds, resamples, generator))
    return drawn


def _together(parts: Sequence[Replicates]) -> Replicates:
    return Replicates(
        np.concatenate([part.places for part in parts]),
        np.concatenate([part.slopes for part in parts]),
        np.concatenate([part.errors for part in parts]),
    )


def interval_of(
    estimate: Float64[np.ndarray, "k"], replicates: Sequence[Float64[np.ndarray, "resamples k"]], level: float
) -> tuple[Float64[np.ndarray, "k"], Float64[np.ndarray, "k"]]:
    """The widest of the percentile intervals of several ways to draw, made to hold the estimate."""
    edges = [np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0) for drawn in replicates]
    low = np.minimum(np.min([edge[0] for edge in edges], axis=0), estimate)
    high = np.maximum(np.max([edge[1] for edge in edges], axis=0), estimate)
    return low, high
