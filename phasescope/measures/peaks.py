"""At which step does the correlation with each n-gram order peak?

One answer for our own results and for published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64, Int


@dataclass(frozen=True)
class Peak:
    """Where one curve is highest.

    Attributes:
        name: of the curve.
        step, low, high: of the peak, and its interval.
        value: the correlation there.
        before_next: the share of resamples in which this curve peaks before the next of the list; None for the last.
        at_end: whether the peak is the last step: the curve may go on rising.
    """

    name: str
    step: int
    low: int
    high: int
    value: float
    before_next: float | None
    at_end: bool


def across_seeds(
    curves: Float64[np.ndarray, "seeds curves steps"],
    replicates: Float64[np.ndarray, "resamples seeds curves steps"] | None,
    resamples: int,
    seed: int,
) -> tuple[Float64[np.ndarray, "curves steps"], Float64[np.ndarray, "resamples curves steps"]]:
    """The mean curve of several seeds, and its replicates: in each resample, seeds are drawn with replacement.

    replicates: of each seed's curve, where its sequences were drawn anew too (the same ones for every seed).
    """
    drawn = np.random.default_rng(seed).integers(len(curves), size=(resamples, len(curves)))
    if replicates is None:
        return curves.mean(0), curves[drawn].mean(1)
    return curves.mean(0), replicates[np.arange(resamples)[:, None], drawn].mean(1)


def find_peaks(
    names: Sequence[str],
    steps: Int[np.ndarray, "steps"],
    curves: Float64[np.ndarray, "curves steps"],
    replicates: Float64[np.ndarray, "resamples curves steps"],
    level: float,
) -> Iterator[Peak]:
    """The highest step of each curve, in the order of the curves; one that is nowhere a number has none.

    Replicates are re-centred on the estimate, as for every interval; a peak's interval is that of the replicates'
    peaks, widened to hold the estimate's.
    """
    known = [place for place, curve in enumerate(curves) if not np.isnan(curve).all()]
    places = {place: highest(replicates[:, place], curves[place]) for place in known}
    for number, place in enumerate(known):
        step = int(steps[np.nanargmax(curves[place])])
        drawn = steps[places[place]]
        low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="nearest")
        following = known[number + 1] if number + 1 < len(known) else None
        before = None if following is None else float((drawn < steps[places[following]]).mean())
        yield Peak(
            names[place],
            step,
            min(int(low), step),
            max(int(high), step),
            float(np.nanmax(curves[place])),
            before,
            step == int(steps[-1]),
        )


def highest(
    replicates: Float64[np.ndarray, "resamples steps"], curve: Float64[np.ndarray, "steps"]
) -> Int[np.ndarray, "resamples"]:
    """Where each replicate of a curve is highest; a step at which the curve is no number cannot be."""
    there = ~(np.isnan(curve) | np.isnan(replicates).all(0))
    centred = np.full(replicates.shape, -np.inf)
    centred[:, there] = replicates[:, there] - np.nanmedian(replicates[:, there], axis=0) + curve[there]
    places: Int[np.ndarray, "resamples"] = np.nan_to_num(centred, nan=-np.inf).argmax(-1)
    return places
