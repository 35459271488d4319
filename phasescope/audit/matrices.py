"""Rules on single matrices: parts of a later step, seeds that meet, seeds that begin alike in part, norms that jump.

Of each checkpoint the sampled entries of its matrices (`weights.Samples`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.repeated import last_steps
from phasescope.audit.weights import Samples
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

# So much less than its neighbours a matrix of a later step lacks to the last, of what is worth telling.
_AS_LAST, _WORTH = 0.05, 0.01
_SAME_NORM = 0.02
# Where more matrices than this are the last step's it is no mixture, but a file in the wrong place.
_MOST = 0.75
# Of two initialisations matrices correlate by 0, of one by 1; with 256 entries the former to a standard error of 0.06.
_APART, _ONE, _RELATED = 0.3, 0.95, 0.5
# Norms beyond both neighbours' by that much, and by so many times what they change elsewhere.
_JUMP, _TIMES = 0.1, 5
_FEWEST = 5
_ENOUGH = 16


def of_matrices(samples: Mapping[ShardKey, Samples]) -> Iterator[Finding]:
    """Every one of them."""
    yield from parts_of_the_end(samples)
    yield from seeds_that_meet(samples)
    yield from jumping_norms(samples)


def parts_of_the_end(samples: Mapping[ShardKey, Samples]) -> Iterator[Finding]:
    """Checkpoints some of whose matrices are the last step's to rounding: mixtures whose files were saved anew.

    A matrix counts that lacks a twentieth of what its neighbours lack to a correlation of 1 with the last step, and has
    that one's norm. As those of pythia-12b (issue 206 of EleutherAI/pythia), where files tell it.
    """
    last = last_steps(samples)
    for keys in _trainings(samples):
        rows = _rows([samples[key] for key in keys])
        near = {name: _with_last(of) for name, of in rows.items()}
        held = {name: _are_the_ends(near[name], _norms(of)) for name, of in rows.items()}
        for place in range(len(keys) - 2):
            names = [name for name in rows if held[name][place]]
            if names and len(names) <= _MOST * len(rows):
                end, after = keys[-1].step, keys[place + 1].step
                yield Finding(
                    "some parts equal",
                    (keys[place],),
                    f"{words.checkpoints([keys[place]], last)} holds {len(names)} of {len(rows)} matrices that were "
                    f"looked at of step {end} ({words.listed(names[:3])}{', …' if len(names) > 3 else ''}), to "
                    "rounding: a mixture.",
                    f"correlation {near[names[0]][place]:.4f} with step {end}, {near[names[0]][place + 1]:.4f} of step "
                    f"{after}",
                    "certain",
                    (keys[place],),
                )


def _are_the_ends(near: Float[np.ndarray, "steps"], norms: Float[np.ndarray, "steps"]) -> Bool[np.ndarray, "steps"]:
    lacked = 1 - near
    before, after = np.concatenate([[np.inf], lacked[:-1]]), np.concatenate([lacked[1:], [0.0]])
    beside = np.minimum(before, after)
    same = np.abs(norms - norms[-1]) <= _SAME_NORM * norms[-1]
    found: Bool[np.ndarray, "steps"] = (beside > _WORTH) & (lacked < _AS_LAST * beside) & same
    return found


def seeds_that_meet(samples: Mapping[ShardKey, Samples]) -> Iterator[Finding]:
    """Seeds that begin apart and are one later; and those that begin with weights that are neither the same nor others.

    Seeds that share their beginning, as where they differ in the order of the data alone, are no fault. Matrices that
    begin as they always do, whatever the seed, tell nothing.
    """
    last = last_steps(samples)
    for size in sorted({key.size for key in samples}):
        seeds = sorted({key.seed for key in samples if key.size == size and ShardKey(size, key.seed, 0) in samples})
        steps = sorted({key.step for key in samples if key.size == size})
        tables = {step: _between(samples, size, seeds, step) for step in steps} if len(seeds) > 1 else {}
        for one, other in combinations(range(len(seeds)), 2):
            near = {
                step: {name: float(of[one, other]) for name, of in tables[step].items() if np.isfinite(of[one, other])}
                for step in tables
            }
            yield from _of_pair(
                size, (seeds[one], seeds[other]), near, words.model(size, [seeds[one], seeds[other]], last)
            )


def _of_pair(
    size: str, seeds: tuple[int, int], near: Mapping[int, Mapping[str, float]], said: str
) -> Iterator[Finding]:
    """near: at each step the correlation of each matrix of the two."""
    begin = near[0]
    between = [name for name, of in begin.items() if _APART < abs(of) < _ONE]
    if between:
        yield Finding(
            "seeds begin alike in part",
            tuple(ShardKey(size, seed, 0) for seed in seeds),
            f"{said} begin with weights that are neither the same nor others, in {words.listed(between[:3])}"
            f"{', …' if len(between) > 3 else ''}: one of the two may have been trained already.",
            f"correlation {begin[between[0]]:.3f} of {between[0]} at step 0",
            "note",
        )
    random = {name for name, of in begin.items() if abs(of) <= _APART}
    later = {step: [of for name, of in found.items() if name in random] for step, found in near.items() if step}
    met = {step: float(np.mean(of)) for step, of in later.items() if of and np.mean(of) > _RELATED}
    if met and len(random) * 2 > len(begin):
        steps = list(met)
        yield Finding(
            "seeds that meet",
            tuple(ShardKey(size, seed, step) for seed in seeds for step in steps),
            f"{said} begin apart and are one training at {words.steps(steps)}: under one of the names lies the other.",
            f"correlation {met[steps[0]]:.3f} at step {steps[0]}",
            "certain",
            tuple(ShardKey(size, seeds[1], step) for step in steps),
        )


def _between(
    samples: Mapping[ShardKey, Samples], size: str, seeds: Sequence[int], step: int
) -> dict[str, Float[np.ndarray, "seeds seeds"]]:
    """The correlations of each matrix between seeds at a step; NaN where it is constant, or not there."""
    there = [
        (place, samples[key]) for place, seed in enumerate(seeds) if (key := ShardKey(size, seed, step)) in samples
    ]
    found = {}
    # Of later steps it is the mean that counts, which some tell as well as all.
    at_most = None if step == 0 else _ENOUGH
    for name, rows in _rows([of for _, of in there], at_most).items() if len(there) > 1 else ():
        places = [place for place, _ in there]
        found[name] = np.full((len(seeds), len(seeds)), np.nan)
        found[name][np.ix_(places, places)] = _correlations(rows)
    return found


def jumping_norms(samples: Mapping[ShardKey, Samples]) -> Iterator[Finding]:
    """Steps at which the norms of most matrices lie beyond both neighbours', by far more than they move elsewhere."""
    last = last_steps(samples)
    for keys in _trainings(samples):
        norms = np.array([_norms(of) for of in _rows([samples[key] for key in keys]).values()]).T
        if not norms.size or not np.isfinite(norms).all() or not (norms > 0).all():
            continue
        logs = np.log(norms)
        moves = np.abs(np.diff(logs, axis=0))
        for place in range(1, len(keys) - 1):
            beside = logs[[place - 1, place + 1]]
            beyond = np.maximum(logs[place] - beside.max(0), beside.min(0) - logs[place])
            usual = np.median(np.delete(moves, [place - 1, place], axis=0), axis=0)
            jumps = (beyond > np.log1p(_JUMP)) & (beyond > _TIMES * usual)
            if jumps.mean() > 0.5:
                by = float(np.expm1(np.median(beyond[jumps])))
                yield Finding(
                    "norms that jump",
                    (keys[place],),
                    f"{words.checkpoints([keys[place]], last)}: the norms of {jumps.sum()} of {len(jumps)} matrices "
                    "lie far beyond those of the steps before and after: a spike of the loss, or another's weights.",
                    f"{by:.0%} beyond both neighbours, at the median",
                    "note",
                )


def _trainings(samples: Mapping[ShardKey, Samples]) -> Iterator[list[ShardKey]]:
    for size, seed in last_steps(samples):
        keys = sorted(key for key in samples if (key.size, key.seed) == (size, seed))
        if len(keys) >= _FEWEST:
            yield keys


def _rows(of: Sequence[Samples], at_most: int | None = None) -> dict[str, Float[np.ndarray, "checkpoints entries"]]:
    """Of each matrix that all of them have, and that is as large in all, its entries in double precision.

    at_most: so many of them, evenly spaced by name.
    """
    found, names = {}, sorted(set.intersection(*(set(one) for one in of)))
    for name in names[:: max(len(names) // at_most, 1)] if at_most else names:
        if len({one[name].shape for one in of}) == 1:
            found[name] = np.stack([one[name] for one in of]).astype(np.float64)
    return found


def _with_last(rows: Float[np.ndarray, "steps entries"]) -> Float[np.ndarray, "steps"]:
    """The correlation of each step with the last; 1, which tells nothing, where a matrix is constant or not finite."""
    near = _correlations(rows, rows[-1:])[:, 0]
    return np.where(np.isfinite(near), near, 1.0)


def _correlations(
    rows: Float[np.ndarray, "rows entries"], others: Float[np.ndarray, "others entries"] | None = None
) -> Float[np.ndarray, "rows others"]:
    """Of each row with each of the others, or of all with all; np.corrcoef takes five times as long for a few rows."""

    def directions(rows: Float[np.ndarray, "rows entries"]) -> Float[np.ndarray, "rows entries"]:
        centred = rows - rows.mean(1, keepdims=True)
        norms: Float[np.ndarray, "rows 1"] = np.sqrt((centred**2).sum(1, keepdims=True))
        return np.asarray(centred / norms)

    with np.errstate(invalid="ignore", divide="ignore"):
        mine = directions(rows)
        found: Float[np.ndarray, "rows others"] = mine @ (mine if others is None else directions(others)).T
    return found


def _norms(rows: Float[np.ndarray, "steps entries"]) -> Float[np.ndarray, "steps"]:
    """Root mean square of what was sampled."""
    found: Float[np.ndarray, "steps"] = np.sqrt((rows**2).mean(1))
    return found
