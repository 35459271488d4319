"""The rule of equal weights between sizes and recipes: models of one suite that are no seeds of one another.

That they begin with the same weights is by design where they differ in their data alone: 69 of the 75 runs of
DataDecide 1B begin with the weights of their seed, whatever their recipe, and six with others (discussion 1 of
DataDecide-dolma1_7-no-math-code-1B, 2026). One that is equal to another at every step is one training under two names;
one that is at some later steps and not at others holds files of the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.store import ShardKey
from phasescope.suites.suite import parameters_in

# Fewer models than this have no usual beginning.
_FEWEST = 3
_SHOWN = 6


def equal_models(
    groups: Iterable[Sequence[ShardKey]],
    known: Mapping[ShardKey, str],
    last: Mapping[tuple[str, int], int],
    rule: str,
    beginning: set[int],
) -> Iterator[Finding]:
    """What is to be said of checkpoints of several sizes that are equal.

    groups: of equal checkpoints. known: what is known of all. last: the last step of each size and seed. rule: its
    name. beginning: the steps at which models may be equal that are not equal later.
    """
    together: dict[tuple[tuple[str, ...], str], list[ShardKey]] = {}
    for group in groups:
        if len(sizes := tuple(sorted({key.size for key in group}))) > 1:
            together.setdefault((sizes, _kind(group, known, beginning)), []).extend(group)
    for (sizes, kind), keys in together.items():
        steps = words.steps(sorted({key.step for key in keys}))
        if kind == "begin":
            said = f"{_named(sizes)} hold the same weights at {steps}, as models that differ in their data alone do."
        elif kind == "one":
            said = f"{_named(sizes)} hold the same weights at {steps}, as one training under several names does."
        else:
            said = f"The same weights are held by {words.checkpoints(keys, last)}."
        fault = kind == "copies"
        yield Finding(
            rule,
            tuple(sorted(keys)),
            said,
            "",
            "certain" if fault else "legitimate",
            tuple(sorted(keys)) if fault else (),
        )


def _named(sizes: Sequence[str]) -> str:
    if len(sizes) > _SHOWN:
        return f"{', '.join(sizes[:_SHOWN])}, … ({len(sizes)} in all)"
    return words.listed(sizes)


def _kind(group: Sequence[ShardKey], known: Mapping[ShardKey, str], beginning: set[int]) -> str:
    """`begin`, `one` or `copies`: what equal checkpoints of several sizes are of one another."""
    steps, sizes = {key.step for key in group}, {key.size for key in group}
    if steps <= beginning:
        return "begin"
    if len(steps) > 1:
        return "copies"
    held: dict[int, dict[str, set[str]]] = {}
    for key, digest in known.items():
        if key.size in sizes and key.step not in beginning:
            held.setdefault(key.step, {}).setdefault(key.size, set()).add(digest)
    common = [list(of.values()) for of in held.values() if len(of) == len(sizes)]
    return "one" if all(set.intersection(*of) for of in common) else "copies"


def other_beginnings(known: Mapping[ShardKey, str]) -> Iterator[Finding]:
    """Models that begin with other weights than most of as many parameters and of the same seed do at step 0."""
    of: dict[tuple[float, int], dict[ShardKey, str]] = {}
    for key, digest in known.items():
        if key.step == 0 and (number := parameters_in(key.size)) is not None:
            of.setdefault((number, key.seed), {})[key] = digest
    for (_, seed), found in sorted(of.items()):
        usual, times = Counter(found.values()).most_common(1)[0]
        others = sorted(key for key, digest in found.items() if digest != usual)
        if times < _FEWEST or times <= len(found) / 2 or not others:
            continue
        names = _named([key.size for key in others])
        verb = words.verb(len(others), "begins", "begin")
        yield Finding(
            "other initial weights",
            tuple(others),
            f"{names} {verb} seed {seed} with other weights than the {times} others of as many parameters, which share "
            "theirs.",
            f"{times} of {len(found)} are equal at step 0",
            "note",
        )
