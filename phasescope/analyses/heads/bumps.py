"""When induction heads form: of each head that does, and of the strongest head of each seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.heads.scores import Trajectory, resampled
from phasescope.console import counted

if TYPE_CHECKING:
    from jaxtyping import Float64, Int64

    from phasescope.analyses.options import Options
    from phasescope.measures import Phases

    Array = np.ndarray

FORMED = 0.2
"""A head is one of induction if at some step its excess is surely more than this."""


def bump_rows(run: Trajectory, weights: Float64[Array, "resamples sequences"], options: Options) -> list[Any]:
    """Rows of the table `induction_heads`: the strongest head of the seed first, then each head that forms."""
    from phasescope.measures import find_all_phases

    excess, drawn = run.excess.mean(1), resampled(run.excess, weights)
    curves = np.concatenate([excess.max(1, keepdims=True), excess], axis=1)
    replicates = np.concatenate([drawn.max(2, keepdims=True), drawn], axis=2)
    formed = [column for column in range(curves.shape[1]) if _highest(curves, replicates, column, options)[1] > FORMED]
    found = find_all_phases(
        [(np.asarray(run.steps, dtype=np.float64), curves[:, column]) for column in formed],
        resamples=options.resamples,
        level=options.level,
        seed=options.seed,
    )
    phases = dict(zip(formed, found, strict=True))
    rows = []
    for column in sorted({0, *formed}):
        layer, head = (None, None) if column == 0 else run.heads[column - 1]
        highest = _highest(curves, replicates, column, options)
        reason = _reason(run, column in phases)
        rose = [np.nan] * 3 if reason else _rise(run.steps, curves[:, column], replicates[..., column], options.level)
        edges = _edges(phases[column], rose[0]) if not reason else [np.nan] * 6
        at = run.steps[int(curves[:, column].argmax())]
        rows.append((run.size, run.seed, layer, head, *highest, at, *rose, *edges, options.level, reason))
    return rows


def strongest_rows(run: Trajectory, weights: Float64[Array, "resamples sequences"], options: Options) -> Iterator[Any]:
    """Rows of the table `repetition`: what repeating is worth, and the strongest induction head, by step."""
    excess, drawn = run.excess.mean(1), resampled(run.excess, weights).max(2)
    strongest = excess.max(1)
    ends = _interval(drawn, strongest, options, run.sequences)
    gain = run.gain.mean(1)
    gain_ends = _interval(resampled(run.gain, weights), gain, options, run.sequences)
    for number, step in enumerate(run.steps):
        layer, head = run.heads[int(excess[number].argmax())]
        yield (
            *(run.size, run.seed, step, gain[number], *gain_ends[:, number]),
            *(run.loss[number].mean(), run.twins_loss[number].mean()),
            *(strongest[number], *ends[:, number], layer, head, options.level, run.sequences),
        )


def _reason(run: Trajectory, formed: bool) -> str:
    if not formed:
        return f"no head attends by induction to more than {FORMED:g} of its attention, surely"
    return "" if len(run.steps) > 1 else f"{counted(len(run.steps), 'step')} tells no rise"


def _highest(
    curves: Float64[Array, "steps columns"],
    replicates: Float64[Array, "resamples steps columns"],
    column: int,
    options: Options,
) -> tuple[float, float, float]:
    """The highest value of a curve, and its interval at that step."""
    at = int(curves[:, column].argmax())
    low, high = _interval(replicates[:, at, column], curves[at, column], options, 2)
    return float(curves[at, column]), float(low), float(high)


def _interval(
    drawn: Float64[Array, "resamples *rest"], mean: Any, options: Options, sequences: int
) -> Float64[Array, "2 *rest"]:
    from phasescope.measures import interval

    if sequences < 2:
        return np.full((2, *np.shape(mean)), np.nan)
    return np.stack([edge.numpy() for edge in interval(drawn, np.asarray(mean, dtype=np.float64), options.level)])


def _rise(
    steps: list[int], curve: Float64[Array, "steps"], drawn: Float64[Array, "resamples steps"], level: float
) -> list[float]:
    """The step at which a curve first comes to half of its highest value, and its interval.

    Between two checkpoints, along log(1 + step); the interval reaches to the checkpoints on both sides, which is all
    that is known, and as far as resamples of the sequences move these.
    """
    x = np.log1p(np.asarray(steps, dtype=np.float64))
    after = _first_over_half(curve[None])[0]
    if after == 0:
        return [float(steps[0])] * 3
    half, before = curve.max() / 2, after - 1
    share = (half - curve[before]) / (curve[after] - curve[before])
    at = float(np.expm1(x[before] + share * (x[after] - x[before])))
    over = _first_over_half(drawn)
    low = np.quantile(np.maximum(over - 1, 0), (1 - level) / 2, method="nearest")
    high = np.quantile(over, (1 + level) / 2, method="nearest")
    return [at, float(min(steps[int(low)], steps[before])), float(max(steps[int(high)], steps[after]))]


def _first_over_half(curves: Float64[Array, "curves steps"]) -> Int64[Array, "curves"]:
    over: Int64[Array, "curves"] = (curves >= curves.max(1, keepdims=True) / 2).argmax(1)
    return over


def _edges(phases: Phases, at: float) -> list[float]:
    """Start and end of the rising phase in which a step lies, each with its interval; NaN where none is told there."""
    bounds = [None, *phases.boundaries, None]
    for number, phase in enumerate(phases.phases):
        if phase.start <= at <= phase.end and phase.label.endswith("rising"):
            return [
                value
                for edge, step in ((bounds[number], phase.start), (bounds[number + 1], phase.end))
                for value in ((step, step, step) if edge is None else (edge.step, edge.low, edge.high))
            ]
    return [np.nan] * 6
