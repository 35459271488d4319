"""The rule of equal weights: no two checkpoints of one model are the same, but for the first update or a shared start.

An upload that failed leaves the final model under an earlier step's name; a loop over steps uploads one folder several
times; a seed is a copy of another. Of `EleutherAI/pythia-2.8b` 76 branches held the file of `main` (issue 205 of
EleutherAI/pythia, 2026-08-14).

Equal is equal in every bit of what was recorded, or in the hash of every file. Sound checkpoints may be so too: where
the learning rate of the first update is zero, step 1 is step 0 (all Pythia models: issue 83 of EleutherAI/pythia),
where seeds differ only in the order of the data they begin with the same weights, and `main` mostly is the last step.
Seeds that begin apart and meet at step 1 are no such case (two of PolyPythias' weight seeds: issue 203 there).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from phasescope.audit import words
from phasescope.audit.across import equal_models
from phasescope.audit.finding import Certainty, Finding, in_order
from phasescope.store import ShardKey

RULE = "equal weights"
# The first update alone may be zero: the learning rate has risen by the second.
BEGINNING = {0, 1}
_RECORDED = "shards, equal in every bit of what they recorded"


def equal_weights(
    fingerprints: Mapping[ShardKey, str],
    main: Mapping[tuple[str, int], str] | None = None,
    seen: str = _RECORDED,
) -> list[Finding]:
    """The checkpoints with equal fingerprints: first those that no sound training has.

    fingerprints: of each checkpoint, equal where and only where all that is known of its weights is.
    main: that of what the repository of a size and seed holds under no step's name.
    seen: what is equal, as the evidence says it after a number.
    """
    groups: dict[str, list[ShardKey]] = {}
    for key, fingerprint in sorted(fingerprints.items()):
        groups.setdefault(fingerprint, []).append(key)
    of_size = [[key for key in group if key.size == size] for group in groups.values() for size in _sizes(group)]
    equal = [group for group in of_size if len(group) > 1]
    found = [
        *_steps_of_seeds(equal, fingerprints, main or {}),
        *_seeds_of_steps(equal, fingerprints),
        *equal_models(groups.values(), fingerprints, last_steps(fingerprints), RULE, BEGINNING),
    ]
    return in_order(replace(finding, evidence=f"{len(finding.checkpoints)} {seen}") for finding in found)


def _sizes(group: Iterable[ShardKey]) -> list[str]:
    return sorted({key.size for key in group})


def _steps_of_seeds(
    equal: Iterable[Sequence[ShardKey]], known: Mapping[ShardKey, str], main: Mapping[tuple[str, int], str]
) -> list[Finding]:
    """Steps of one seed that are equal; where only the first update is zero, of all seeds of a size together."""
    last = last_steps(known)
    found: list[Finding] = []
    unmoved: dict[str, list[int]] = {}
    for group in equal:
        size = group[0].size
        for seed in sorted({key.seed for key in group}):
            keys = [key for key in group if key.seed == seed]
            is_main = main.get((size, seed)) == known[keys[0]]
            if {key.step for key in keys} == BEGINNING and not is_main:
                unmoved.setdefault(size, []).append(seed)
            elif len(keys) > 1:
                found.append(_copies(keys, last[size, seed], is_main, words.model(size, [seed], last)))
    why = "step 1 holds the same weights as step 0, as where the learning rate of the first update is zero."
    for size, seeds in unmoved.items():
        keys = [ShardKey(size, seed, step) for seed in sorted(seeds) for step in sorted(BEGINNING)]
        found.append(_finding(keys, f"{words.model(size, sorted(seeds), last)}: {why}", "legitimate"))
    return found


def last_steps(known: Iterable[ShardKey]) -> dict[tuple[str, int], int]:
    """The last step of each size and seed."""
    last: dict[tuple[str, int], int] = {}
    for key in known:
        last[key.size, key.seed] = max(key.step, last.get((key.size, key.seed), 0))
    return last


def _copies(keys: Sequence[ShardKey], last: int, is_main: bool, of: str) -> Finding:
    """Branches are cut from the end of a training before they are filled: where that is among them, it is the origin.

    Otherwise nothing tells which of them it is, and none is to be believed.
    """
    steps = [key.step for key in keys]
    if last in steps:
        copies, origin = [step for step in steps if step != last], f"step {last}" + ", as main does" * is_main
    elif is_main:
        copies, origin = steps, "main"
    else:
        said = f"{of}: {words.steps(steps)} hold the same weights; which of them these are of is not known."
        return _finding(keys, said, "certain", keys)
    suspects = [key for key in keys if key.step in copies]
    verb = words.verb(len(copies), "holds", "hold")
    return _finding(keys, f"{of}: {words.steps(copies)} {verb} the same weights as {origin}.", "certain", suspects)


def _seeds_of_steps(equal: Iterable[Sequence[ShardKey]], known: Mapping[ShardKey, str]) -> list[Finding]:
    """Seeds that are equal: of the same seeds all steps together. The first of them may be what its name says."""
    together: dict[tuple[str, tuple[int, ...], Certainty], list[ShardKey]] = {}
    for group in equal:
        size, seeds = group[0].size, tuple(sorted({key.seed for key in group}))
        steps = {key.step for key in group}
        apart_before = 0 not in steps and any(ShardKey(size, seed, 0) in known for seed in seeds)
        shared_start = steps <= BEGINNING and not apart_before
        if len(seeds) > 1:
            together.setdefault((size, seeds, "legitimate" if shared_start else "certain"), []).extend(group)
    found = []
    for (size, seeds, certainty), keys in together.items():
        steps_of = {seed: sorted(key.step for key in keys if key.seed == seed) for seed in seeds}
        if len({tuple(steps) for steps in steps_of.values()}) == 1:
            shared = words.steps(steps_of[seeds[0]])
            said = f"{size}: seeds {words.numbers(seeds)} hold the same weights at {shared}"
        else:
            each = [f"seed {seed} at {words.steps(steps)}" for seed, steps in steps_of.items()]
            said = f"{size}: the same weights are held by {words.listed(each)}"
        why = ", as where seeds differ in the order of the data alone." if certainty == "legitimate" else "."
        others = [key for key in keys if key.seed != seeds[0] and certainty == "certain"]
        found.append(_finding(keys, said + why, certainty, others))
    return found


def _finding(
    keys: Iterable[ShardKey], sentence: str, certainty: Certainty, suspects: Iterable[ShardKey] = ()
) -> Finding:
    return Finding(RULE, tuple(sorted(keys)), sentence, "", certainty, tuple(sorted(suspects)))
