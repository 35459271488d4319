"""Rules on what models said of the frozen texts: equal outputs, steps out of order, restarts, losses that jump.

They are weaker than those on weights, and there where weights are not: for older runs and models on a server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.repeated import equal_weights, last_steps
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from jaxtyping import Float

Surprisals = Mapping[ShardKey, "Float[np.ndarray, 'tokens']"]
"""Surprisal (nats) of the same tokens at every checkpoint."""

# Of the range of a table of distances: what is less is told by no step in the wrong place.
_LIMIT = 0.05
# How much nearer than both neighbours another step has to be.
_BY_FAR = 0.5
# A jump in nats, and as a part of what a training learns.
_NATS, _OF_ALL = 0.1, 0.1
_FEWEST = 5


def equal_outputs(surprisals: Surprisals, weights: Mapping[ShardKey, str]) -> Iterator[Finding]:
    """Checkpoints with other weights that say the same of every token, to the last bit.

    As of weights that differ in the signs of their zeros alone, or in what is never used (PolyPythias' weight seeds at
    step 1: issue 203 of EleutherAI/pythia). weights: what tells these apart; without it nothing is said.
    """
    told = {key: of for key, of in surprisals.items() if key in weights and np.ptp(of) > 0}
    digests = {key: hashlib.blake2b(of.tobytes(), digest_size=16).hexdigest() for key, of in told.items()}
    for one in equal_weights(digests, seen="checkpoints, equal in the surprisal of every token"):
        if len({weights[key] for key in one.checkpoints}) == len(one.checkpoints):
            said = one.sentence.replace("hold the same weights", "say the same of every token").replace(
                "holds the same weights", "says the same of every token"
            )
            sure = "likely" if one.certainty == "certain" else one.certainty
            yield replace(one, rule="equal outputs", sentence=said, certainty=sure)


def outputs_in_order(surprisals: Surprisals) -> Iterator[Finding]:
    """Steps that are by far nearer to one further away than to their neighbours, or that go on from an earlier one.

    Near is a small root mean square difference of surprisals.
    """
    last = last_steps(surprisals)
    for keys in _trainings(surprisals):
        table = distances([surprisals[key] for key in keys])
        of, limit = words.model(keys[0].size, [keys[0].seed], last), _LIMIT * float(np.ptp(table))
        begin = next((step for step in range(2, len(keys) - 1) if _goes_back(table, step, limit)), None)
        if begin is not None:
            source = int(np.argmin(table[begin, :begin]))
            yield Finding(
                "restart",
                tuple(keys[begin:]),
                f"{of}: from step {keys[begin].step} on the outputs do not go on from step {keys[begin - 1].step}; "
                f"they are nearer to those of step {keys[source].step}: a restart, or another training.",
                f"distance {table[begin, source]:.3f} nats to step {keys[source].step}, {table[begin, begin - 1]:.3f} "
                f"to step {keys[begin - 1].step}",
                "likely",
                tuple(keys[begin:]),
            )
        for place in range(len(keys) - 1):
            if begin is None and (other := _elsewhere(table, place, limit)) is not None:
                yield Finding(
                    "out of order",
                    (keys[place],),
                    f"{of}: what step {keys[place].step} says is by far nearer to step {keys[other].step} than to the "
                    "steps before and after: its weights are another step's.",
                    f"distance {table[place, other]:.3f} nats to step {keys[other].step}, "
                    f"{_beside(table, place):.3f} to its nearer neighbour",
                    "likely",
                    (keys[place],),
                )


def distances(surprisals: Sequence[np.ndarray]) -> Float[np.ndarray, "steps steps"]:
    """Root mean square difference (nats) of every two."""
    rows = np.stack(surprisals).astype(np.float64)
    found: Float[np.ndarray, "steps steps"] = np.sqrt(np.stack([((rows - row) ** 2).mean(1) for row in rows]))
    return found


def _goes_back(table: Float[np.ndarray, "steps steps"], step: int, limit: float) -> bool:
    """Whether a step is nearer to one at least two before the last, and the next goes on from it."""
    source = int(np.argmin(table[step, :step]))
    nearer = table[step, step - 1] - table[step, source]
    goes_on = int(np.argmin(table[step + 1, : step + 1])) == step
    # Where it is the one before alone that is far from both, that one is in the wrong place, or a spike.
    return bool(
        step - 1 - source >= 2 and nearer > limit and table[step, step - 2] - table[step, source] > limit and goes_on
    )


def _elsewhere(table: Float[np.ndarray, "steps steps"], place: int, limit: float) -> int | None:
    others = table[place].copy()
    others[max(place - 1, 0) : place + 2] = np.inf
    other = int(np.argmin(others))
    beside = _beside(table, place)
    if place == 0 and _elsewhere(table, 1, limit) is not None:
        return None  # its one neighbour is in the wrong place
    return other if others[other] < _BY_FAR * beside and beside - others[other] > limit else None


def _beside(table: Float[np.ndarray, "steps steps"], place: int) -> float:
    return float(min(table[place, other] for other in (place - 1, place + 1) if 0 <= other < len(table)))


def jumping_losses(surprisals: Surprisals) -> Iterator[Finding]:
    """Steps at which the mean surprisal jumps: and returns, as a spike or a broken file does, or stays.

    One that falls and returns is likely another step's.
    """
    last = last_steps(surprisals)
    for keys in _trainings(surprisals):
        means = np.array([surprisals[key].mean(dtype=np.float64) for key in keys])
        if not np.isfinite(means).all():
            continue
        least = max(_NATS, _OF_ALL * float(means[0] - means.min()))
        for place in range(1, len(keys)):
            before, own, after = means[place - 1], means[place], means[place + 1 :]
            where = words.checkpoints([keys[place]], last)
            evidence = f"{before:.2f} nats before, {own:.2f} there" + (f", {after[0]:.2f} after" if len(after) else "")
            # Before a spike a step is lower than both neighbours, but not than the one behind it.
            returns = len(after) > 1 and after[0] < before + least
            if returns and min(before, *after[:2]) - own > least:
                said = f"{where} is far less surprised than the steps before and after: its weights are a later step's."
                yield Finding("losses that jump", (keys[place],), said, evidence, "likely", (keys[place],))
            elif own - before > least:
                stays = len(after) > 1 and after.min() > before + least / 2
                what = "and so is what follows: a restart, or other data" if stays else "a spike of the loss, or broken"
                said = f"{where} is far more surprised than the step before, {what}."
                yield Finding("losses that jump", (keys[place],), said, evidence, "note")


def _trainings(surprisals: Surprisals) -> Iterator[list[ShardKey]]:
    for size, seed in last_steps(surprisals):
        keys = sorted(key for key in surprisals if (key.size, key.seed) == (size, seed))
        if len(keys) >= _FEWEST and len({surprisals[key].shape for key in keys}) == 1:
            yield keys
