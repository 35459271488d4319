"""In which phase does a layer do its moving? The share of its net change that falls into each phase.

A layer's net change is the rise of its CKA to the final state from the first checkpoint to the last, where it is 1 by
definition. The share of a phase is the rise from the phase's start to its end, divided by that. Shares of phases that
follow each other without gaps over all of training sum to 1. They are signed: a phase in which the layer moves away
from its final state has a negative share, and others then have more than 1 together. The length of the path would
count every wiggle, noise included, as movement; the net change does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64

LEAST_CHANGE = 0.05
"""A layer whose CKA to the final state rises by less than this hardly moves, so shares of it mean nothing."""


@dataclass(frozen=True)
class Shares:
    """The shares of one curve.

    Attributes:
        shares: of the net change, signed; NaN where a phase lies outside of the checkpoints.
        deviations: by how much each resample of the texts moves them.
        change: the net change.
        reason: why there are no shares; "" where there are.
    """

    shares: Float64[np.ndarray, "phases"]
    deviations: Float64[np.ndarray, "resamples phases"]
    change: float
    reason: str = ""


def phase_shares(
    steps: Sequence[float],
    cka: Float64[np.ndarray, "steps"],
    deviations: Float64[np.ndarray, "resamples steps"],
    phases: Sequence[tuple[float, float]],
) -> Shares:
    """The share of a curve's net change that falls into each phase.

    Args:
        steps: of the checkpoints, ascending.
        cka: to the final state; a NaN is a checkpoint that is not there.
        deviations: of the CKA in resamples of the texts, the same ones at every checkpoint: neighbouring checkpoints
            err together, and what they have in common is no error of a difference. A NaN moves nothing.
        phases: (start, end) of each, in steps. Between checkpoints CKA is read off a straight line in ln(1 + step).

    Raises:
        ValueError: the shapes do not match, or the steps do not ascend.
    """
    known = np.isfinite(cka)
    if not len(steps) == len(cka) == deviations.shape[-1]:
        what = f"{len(steps)} steps, {len(cka)} CKA and deviations {list(deviations.shape)}"
        raise ValueError(f"{what} do not belong together")
    places = np.log1p(np.asarray(steps, np.float64)[known])
    if bool((np.diff(places) <= 0).any()):
        raise ValueError("steps must ascend")
    nothing, unmoved = np.full(len(phases), math.nan), np.zeros((len(deviations), len(phases)))
    if known.sum() < 2:
        return Shares(nothing, unmoved, math.nan, "it has no CKA at two checkpoints")
    values, moved = cka[known], np.nan_to_num(deviations[:, known])
    change = float(values[-1] - values[0])
    if change < LEAST_CHANGE or change < 2 * _spread(moved[:, -1] - moved[:, 0]):
        why = f"it hardly moves: its CKA to the final state is {values[0]:.2f} at the first checkpoint"
        return Shares(nothing, unmoved, change, why)
    edges = np.log1p(np.asarray(phases, np.float64).reshape(-1, 2))
    weights = _at(places, edges[:, 1]) - _at(places, edges[:, 0])  # [phases, checkpoints]
    shares = weights @ values / change
    # To first order, of a ratio of two sums: each checkpoint pulls at the numerator, and the ends at the denominator.
    whole = np.zeros(len(values))
    whole[[0, -1]] = -1, 1
    pull = (weights - shares[:, None] * whole) / change
    outside = (edges[:, 1] <= places[0]) | (edges[:, 0] >= places[-1])
    shares[outside] = math.nan
    return Shares(shares, np.where(outside, 0.0, moved @ pull.T), change)


def common_error(deviations: Float64[np.ndarray, "seeds resamples ..."]) -> Float64[np.ndarray, "..."]:
    """The standard error of what the texts move in all seeds alike; of a single seed, all that they move.

    The seeds differ from each other by what is their own, the texts' part in it included. What the mean over seeds
    needs beside that is what they share: the mean covariance of two seeds over the resamples, which must be common to
    both. With `mean_over_seeds(values, level, common_error(deviations))` nothing is counted twice. NaN where there are
    fewer than two resamples.
    """
    seeds, resamples = deviations.shape[:2]
    if resamples < 2:
        return np.full(deviations.shape[2:], math.nan)
    apart = deviations - deviations.mean(1, keepdims=True)
    squares, pairs = (apart**2).sum(0), seeds * (seeds - 1)
    products = (apart.sum(0) ** 2 - squares) / pairs if pairs else squares
    common: Float64[np.ndarray, "..."] = np.sqrt(np.maximum(products.sum(0) / (resamples - 1), 0.0))
    return common


def _spread(deviations: Float64[np.ndarray, "resamples"]) -> float:
    return float(np.std(deviations, ddof=1)) if len(deviations) > 1 else 0.0


def _at(
    knots: Float64[np.ndarray, "checkpoints"], places: Float64[np.ndarray, "phases"]
) -> Float64[np.ndarray, "phases checkpoints"]:
    """Weights of the values at the knots that give the value at each place; beyond the ends, that of the end."""
    inside = np.clip(places, knots[0], knots[-1])
    right = np.clip(np.searchsorted(knots, inside), 1, len(knots) - 1)
    share = (inside - knots[right - 1]) / (knots[right] - knots[right - 1])
    weights = np.zeros((len(places), len(knots)))
    rows = np.arange(len(places))
    weights[rows, right - 1], weights[rows, right] = 1 - share, share
    return weights
