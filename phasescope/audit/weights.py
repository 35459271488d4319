"""Rules on weights: the order of steps, restarts, and a step 0 of another initialisation.

In a sound training the correlation of the weights with those of another step falls as the two lie further apart, for
every step and in both directions. What is looked at is the mean over all matrices of the correlation of a few hundred
sampled entries each; single matrices break the order now and then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from phasescope.audit import words
from phasescope.audit.finding import Finding, in_order
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int

Samples = Mapping[str, "Float[np.ndarray, 'sampled']"]
"""Sampled entries of each weight matrix by its name, of one checkpoint; the same places at every step."""

# A mean correlation that rises, away from a step, by a smaller part of what it lacks to 1 is no violation: that is the
# noise of sampled entries, which shrinks as steps grow alike. And by less than float32 tells.
_NOISE, _TINY = 0.1, 1e-6
# From here on an order that is broken can hardly be chance.
_SURE = 0.05
# Two initialisations correlate by 0 (their standard error is under 0.03 for all matrices together).
_UNRELATED, _RELATED = 0.1, 0.5
# Up to there a training has hardly left its beginning; and a gap so much wider than others may hide anything.
_EARLY, _FAR = 1000, 4
# A step is that much nearer to another than to the one before, as a part of what it lacks to 1 with that one.
_RESTARTED = 0.1
# By so many steps of the line that is left, what begins anew may be further on when it is first seen.
_AHEAD = 2
_FEWEST = 4
# Where more steps than this are out of order, the fault may be another.
_FEW = 0.25


def weights_in_order(samples: Mapping[ShardKey, Samples]) -> list[Finding]:
    """What the rules on weights find in the sampled entries of checkpoints, each size and seed on its own."""
    last = last_steps(samples)
    found: list[Finding] = []
    for size, seed in last:
        keys = sorted(key for key in samples if (key.size, key.seed) == (size, seed))
        if len(keys) >= _FEWEST:
            of = words.model(size, [seed], last)
            found += _of_training(keys, correlations([samples[key] for key in keys]), of)
    return in_order(found)


def correlations(samples: Sequence[Samples]) -> Float[np.ndarray, "steps steps"]:
    """Mean over the matrices that all steps have of the correlation of their sampled entries; without constant ones."""
    shared = set.intersection(*(set(of) for of in samples))
    tables = []
    for name in sorted(shared):
        if len({of[name].shape for of in samples}) > 1:
            continue
        rows = np.stack([of[name] for of in samples]).astype(np.float64)
        rows -= rows.mean(1, keepdims=True)
        norms = np.sqrt((rows**2).sum(1))
        if np.isfinite(norms).all() and (norms > 0).all():
            tables.append((rows / norms[:, None]) @ (rows / norms[:, None]).T)
    return np.mean(tables, axis=0) if tables else np.ones((len(samples), len(samples)))


def equal_entries(samples: Mapping[ShardKey, Samples]) -> dict[ShardKey, dict[str, str]]:
    """Of each matrix of each checkpoint a name, shared by a step where its entries are equal, and differ between.

    What no update has moved yet (rows of tokens that have not occurred, in half precision) is equal at steps in a row,
    and has a name of its own at each.
    """
    found: dict[ShardKey, dict[str, str]] = {key: {} for key in samples}
    for model in last_steps(samples):
        keys = sorted(key for key in samples if (key.size, key.seed) == model)
        for name in sorted({name for key in keys for name in samples[key]}):
            held = [key for key in keys if name in samples[key]]
            digests = [hashlib.blake2b(samples[key][name].tobytes(), digest_size=16).hexdigest() for key in held]
            for key, digest in zip(held, digests, strict=True):
                first, last = digests.index(digest), len(digests) - 1 - digests[::-1].index(digest)
                in_a_row = last - first < digests.count(digest)
                found[key][name] = f"{name} {digest} {key.label if in_a_row else ''}"
    return found


def _of_training(keys: Sequence[ShardKey], table: Float[np.ndarray, "steps steps"], of: str) -> Iterator[Finding]:
    begins = [0, *anew(table, [key.step for key in keys]), len(keys)]
    for place in begins[1:-1]:
        key, before = keys[place], keys[place - 1]
        first = place == 1 and before.step == 0
        yield Finding(
            "another initialisation" if first else "another training",
            tuple(keys[:2] if first else keys[place:]),
            f"{of}: step 0 is of another initialisation than step {key.step} and what follows."
            if first
            else f"{of}: from step {key.step} on the weights have nothing in common with those before.",
            f"correlation {table[place - 1, place]:.3f} of steps {before.step} and {key.step}, "
            f"{table[place, place + 1]:.3f} of {key.step} and {keys[place + 1].step}",
            "certain" if first else "likely",
            (keys[0],) if first else tuple(keys[place:]),
        )
    for begin, end in pairwise(begins):
        yield from _of_one(keys[begin:end], table[begin:end, begin:end], of)


def _of_one(keys: Sequence[ShardKey], table: Float[np.ndarray, "steps steps"], of: str) -> Iterator[Finding]:
    begins = [0, *restarts(table), len(keys)]
    for begin in begins[1:-1]:
        source = int(np.argmax(table[begin, :begin]))
        yield Finding(
            "restart",
            tuple(keys[begin:]),
            f"{of}: from step {keys[begin].step} on the weights do not go on from step {keys[begin - 1].step}; they "
            f"are nearer to step {keys[source].step}: a restart, or another training.",
            f"correlation {table[begin, begin - 1]:.3f} of steps {keys[begin].step} and {keys[begin - 1].step}, "
            f"{table[begin, source]:.3f} of {keys[begin].step} and {keys[source].step}",
            "likely",
            tuple(keys[begin:]),
        )
    for begin, end in pairwise(begins):
        places, worst = misplaced(table[begin:end, begin:end])
        if places:
            out = tuple(keys[begin + place] for place in places)
            yield Finding(
                "out of order",
                out,
                f"{of}: the weights of {words.steps([key.step for key in out])} do not lie between those of the steps "
                "before and after: they are another step's, or steps were exchanged.",
                f"correlation rises by up to {worst:.3f} with the distance of steps",
                "certain" if worst > _SURE and len(out) <= _FEW * len(keys) else "likely",
                out,
            )


def anew(table: Float[np.ndarray, "steps steps"], steps: Sequence[int]) -> list[int]:
    """Where weights have nothing in common with any before, and what follows goes on from there.

    One step before that is enough where it is step 0, and what follows is early; later ones have to be a training of
    their own, and no further off than others are.
    """
    found = []
    for place in range(1, len(table) - 1):
        gap = steps[place] - steps[place - 1]
        if place == 1 and steps[0] == 0:
            near = gap <= _EARLY
        else:
            near = place > 1 and table[place - 2, place - 1] > _RELATED
            near = near and gap <= _FAR * max(steps[place + 1] - steps[place], steps[place - 1] - steps[place - 2])
        if near and np.abs(table[:place, place:]).max() < _UNRELATED and table[place, place + 1] > _RELATED:
            found.append(place)
    return found


def restarts(table: Float[np.ndarray, "steps steps"]) -> list[int]:
    """Where a training goes on from a step earlier than the one before, and what follows goes on from there.

    That is told from a step in the wrong place by three things: the steps before are in order, and so are those that
    are gone on from with what follows; and what was left behind lies beside what follows, not on its way.
    """
    found, line = list[int](), list[int]()
    for begin in range(len(table)):
        if (line_of := _gone_on_from(table, line, begin)) is not None:
            found.append(begin)
            line = line_of
        line.append(begin)
    return found


def _nearest(table: Float[np.ndarray, "steps steps"], line: Sequence[int], step: int) -> int | None:
    """The place in a line of steps of the one that a step is nearest to, where that is by far not the last of them."""
    near = table[step, line]
    if len(near) < _FEWEST - 1:
        return None
    place = int(np.argmax(near))
    gained, lacked = near[place] - near[-1], 1 - near[-1]
    return place if gained > max(_RESTARTED * lacked, _TINY) else None


def _gone_on_from(table: Float[np.ndarray, "steps steps"], line: list[int], begin: int) -> list[int] | None:
    """The steps of a line that a training goes on from at a step; None where it goes on from the last, or is no line.

    What begins anew soon is where the line was a step or two later, so that it may be nearer to these.
    """
    nearest = _nearest(table, line, begin)
    if nearest is None or _out_of_order(table, line):
        return None
    # The next step follows it, and not what was left behind; else an earlier step's file is in a later one's place.
    if begin + 1 < len(table) and int(np.argmax(table[begin + 1, : begin + 1])) != begin:
        return None
    for place in range(nearest, max(nearest - 1 - _AHEAD, -1), -1):
        before, left, end = line[: place + 1], line[place + 1 :], begin + 1
        while end < len(table) and _nearest(table, [*before, *range(begin, end)], end) is None:
            end += 1
        later = list(range(begin, end))
        if place == nearest and len(left) == 1 and _may_be_exchanged(table, before, left, later):
            return None
        if not _out_of_order(table, [*before, *later]):
            return before if _is_beside(table, left[-1], later) else None
    return None


def _may_be_exchanged(
    table: Float[np.ndarray, "steps steps"], before: Sequence[int], left: Sequence[int], later: Sequence[int]
) -> bool:
    """Whether the one step that was left behind, and what follows, may as well be neighbours that were exchanged."""
    return len(later) == 1 or not _out_of_order(table, [*before[:-1], *left, before[-1], *later])


def _out_of_order(table: Float[np.ndarray, "steps steps"], line: Sequence[int]) -> bool:
    return _broken(table[np.ix_(line, line)])[0] > 0


def _is_beside(table: Float[np.ndarray, "steps steps"], tip: int, later: Sequence[int]) -> bool:
    """Whether a step is further from each of several than the nearest of them is from the steps next to it."""
    place = int(np.argmax(table[tip, later]))
    next_to = [table[later[place], later[other]] for other in (place - 1, place + 1) if 0 <= other < len(later)]
    return bool(not next_to or table[tip, later[place]] < min(next_to))


def misplaced(table: Float[np.ndarray, "steps steps"]) -> tuple[list[int], float]:
    """The fewest steps without which the others are in order, found one by one; and the largest rise of a correlation.

    Of two steps whose removal mends as much both are named: they may have been exchanged.
    """
    there, found = list(range(len(table))), list[int]()
    worst = _rises(table[:, :-1], table[:, 1:], np.arange(len(table) - 1)).max(initial=0.0)
    while len(there) >= _FEWEST:
        before, left = _broken(table[np.ix_(there, there)])
        if not before:
            break
        fewest = left.min()
        if fewest > before * 0.75:
            return [], 0.0  # no single step is at fault
        best = [there[place] for place in np.flatnonzero(left == fewest)]
        if fewest == 0:
            found += best
            break
        # One that breaks most of the rest: a step that many rows rise towards.
        found.append(best[0])
        there.remove(best[0])
    return sorted(found), float(worst)


def _broken(table: Float[np.ndarray, "steps steps"]) -> tuple[int, Int[np.ndarray, "steps"]]:
    """How many correlations rise from one step to the next further away; and how many would without each step."""
    steps = len(table)
    rising = _is_rise(table[:, :-1], table[:, 1:], np.arange(steps - 1))
    over = _is_rise(table[:, :-2], table[:, 2:], np.arange(steps - 2))
    left = np.full(steps, rising.sum()) - rising.sum(1)
    # The pairs of steps that it is one of go, that of its neighbours comes; its own row is gone already.
    for place in range(steps):
        others = np.arange(steps) != place
        left[place] -= rising[others, max(place - 1, 0) : place + 1].sum()
        if 0 < place < steps - 1:
            left[place] += over[others, place - 1].sum()
    return int(rising.sum()), left


def _is_rise(
    near: Float[np.ndarray, "steps pairs"], far: Float[np.ndarray, "steps pairs"], first: Int[np.ndarray, "pairs"]
) -> Bool[np.ndarray, "steps pairs"]:
    rises = _rises(near, far, first)
    lacked = 1 - np.where(_is_after(len(near), first), near, far)
    found: Bool[np.ndarray, "steps pairs"] = (rises > _TINY) & (rises > _NOISE * np.maximum(lacked, _TINY))
    return found


def _rises(
    one: Float[np.ndarray, "steps pairs"], two: Float[np.ndarray, "steps pairs"], first: Int[np.ndarray, "pairs"]
) -> Float[np.ndarray, "steps pairs"]:
    """By how much the correlation with each step rises from the nearer to the further step of a pair.

    one, two: the correlations with the earlier and the later step of each pair. first: the place of the earlier.
    """
    found: Float[np.ndarray, "steps pairs"] = np.where(_is_after(len(one), first), two - one, one - two)
    return found


def _is_after(steps: int, first: Int[np.ndarray, "pairs"]) -> Bool[np.ndarray, "steps pairs"]:
    """Whether a pair lies after a step: its earlier step is then the nearer."""
    found: Bool[np.ndarray, "steps pairs"] = first[None, :] >= np.arange(steps)[:, None]
    return found
