"""The four phases of study B in the KL between seeds, each recognised by evidence.

"Convergence and Divergence of Language Models under Different Random Seeds" (arXiv 2509.26643): at first all seeds are
close to the uniform distribution; then all learn the unigram distribution, and come closer; then they begin to use
context, each in its way, and part sharply; then they slowly come closer again, the smallest not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.measures.phases import UNDETERMINED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import Series

    from phasescope.measures import Phase, Phases

UNIFORM, CONVERGENCE, DIVERGENCE, RECONVERGENCE = NAMES = (
    "uniform",
    "sharp convergence",
    "sharp divergence",
    "slow reconvergence",
)
# A distribution is still uniform at this share of the largest distance from it that is seen in training.
_CLOSE = 0.1
_UNTOLD = "whether KL between seeds rises or falls here cannot be told"


@dataclass(frozen=True)
class Named:
    """A name, and in a sentence why it is given, or why none is."""

    name: str = ""
    evidence: str = ""


@dataclass(frozen=True, eq=False)
class Evidence:
    """What is known of a size along training, in nats by step.

    Attributes:
        from_uniform: mean KL to the uniform distribution: ln of the vocabulary less the entropy.
        from_unigram: mean KL to the unigram distribution; where that was not measured, by how much surprisal exceeds
            that of token frequencies alone, which is near 0 when the models say little more than these.
        measured: whether it was.
    """

    from_uniform: Series[float] | None = None
    from_unigram: Series[float] | None = None
    measured: bool = False


def named_phases(phases: Phases, evidence: Evidence) -> Sequence[Named]:
    """A name for each phase of the KL, empty where nothing speaks for one of the four.

    Divergence: KL rises, up to its highest boundary since the models were closest to the unigram distribution
    (untrained models are apart too, by their initialisation). Reconvergence: it falls after that. Uniform: from the
    beginning, as long as the mean distance from uniform is under a tenth of its largest. Convergence: KL falls before
    it rises, or at least does not rise, while the models come closer to the unigram distribution.
    """
    if evidence.from_uniform is None or evidence.from_unigram is None:
        return [Named("", "neither entropy nor surprisal of this size is known")] * len(phases.phases)
    if len(phases.phases) < 2:
        return [Named("", "the KL keeps one trend")] * len(phases.phases)
    distances = evidence.from_unigram.abs()
    top = _top(phases, float(distances.index.to_numpy(np.float64)[int(distances.to_numpy().argmin())]))
    found: list[Named] = []
    for number, phase in enumerate(phases.phases):
        if number < top:
            early = not any(named.name in (CONVERGENCE, DIVERGENCE) for named in found)
            found.append(_before_the_top(phase, evidence, early=early))
        else:
            found.append(_after_the_top(phase, evidence))
    return found


def _top(phases: Phases, closest: float) -> int:
    """Which phase is the first after the highest boundary of the fitted curve; all of them before it: their number.

    closest: the step at which the models are closest to the unigram distribution; the phase of that step is the first
        whose end may be the highest.
    """
    ends = [phase.end for phase in phases.phases]
    x = np.log1p([phases.phases[0].start, *ends])
    heights = np.cumsum(np.diff(x) * [phase.slope for phase in phases.phases])
    return 1 + int(np.where(np.array(ends) >= closest, heights, -np.inf).argmax())


def _before_the_top(phase: Phase, evidence: Evidence, *, early: bool) -> Named:
    assert evidence.from_uniform is not None
    largest = float(evidence.from_uniform.max())
    near = _mean_within(evidence.from_uniform, phase)
    if early and near <= _CLOSE * largest:
        return Named(UNIFORM, f"{near:.2f} nats from uniform in the mean, of {largest:.2f} at most")
    if phase.label.endswith("rising"):
        return Named(DIVERGENCE, f"KL between seeds rises by {phase.slope:.3f} nats per e-fold of steps")
    untold = phase.label == UNDETERMINED
    first, last = _distances_at(evidence, phase)
    if early and abs(last) < abs(first):
        how = "falls" if phase.label.endswith("falling") else "does not rise for certain" if untold else "stays"
        what = "KL to the unigram distribution" if evidence.measured else "surprisal less that of token frequencies"
        return Named(CONVERGENCE, f"{what} goes from {first:.2f} to {last:.2f} nats while KL between seeds {how}")
    if not early:
        return Named("", _UNTOLD if untold else "KL between seeds stays at its height")
    return Named("", "KL between seeds does not rise, and the models come no closer to the unigram distribution")


def _after_the_top(phase: Phase, evidence: Evidence) -> Named:
    if phase.label.endswith("falling"):
        return Named(RECONVERGENCE, f"KL between seeds falls by {-phase.slope:.3f} nats per e-fold of steps")
    if phase.label == UNDETERMINED:
        return Named("", _UNTOLD)
    return Named("", "after its highest point KL between seeds does not fall here")


def _mean_within(values: Series[float], phase: Phase) -> float:
    """Along x = log(1 + step), so that many late checkpoints do not outweigh few early ones."""
    x = np.linspace(np.log1p(phase.start), np.log1p(phase.end), 33)
    return float(np.interp(x, np.log1p(values.index.to_numpy(np.float64)), values.to_numpy(np.float64)).mean())


def _distances_at(evidence: Evidence, phase: Phase) -> tuple[float, float]:
    """From the unigram distribution, at the beginning and at the end of a phase."""
    assert evidence.from_unigram is not None
    known = evidence.from_unigram
    at = np.interp(np.log1p([phase.start, phase.end]), np.log1p(known.index.to_numpy(np.float64)), known.to_numpy())
    return float(at[0]), float(at[1])
