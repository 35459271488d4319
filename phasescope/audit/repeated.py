"""The rule of equal weights: no two checkpoints of one model are the same, but for the first update or a shared start.

An upload that failed leaves the final model under an earlier step's name; a loop over steps uploads one folder several
times; a seed is a copy of another. Of `EleutherAI/pythia-2.8b` 76 branches held the file of `main` (issue 205 of
EleutherAI/pythia, 2026-08-14).

Equal is equal in every bit of what was recorded. Sound checkpoints may be equal too: where the learning rate of the
first update is zero, step 1 is step 0 (all Pythia models: issue 83 of EleutherAI/pythia), and where seeds differ only
in the order of the data they begin with the same weights. Seeds that begin apart and meet at step 1 are no such case
(two of PolyPythias' weight seeds: issue 203 of EleutherAI/pythia).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from phasescope.audit.finding import Certainty, Finding
from phasescope.store import ShardKey

RULE = "equal weights"
# The first update alone may be zero: the learning rate has risen by the second.
_BEGINNING = {0, 1}
_NAMED = 12


def equal_weights(fingerprints: Mapping[ShardKey, str]) -> list[Finding]:
    """The checkpoints of one size with equal fingerprints: first those that no sound training has.

    fingerprints: of each checkpoint, equal where and only where all that was recorded of it is.
    """
    groups: dict[tuple[str, str], list[ShardKey]] = {}
    for key, fingerprint in sorted(fingerprints.items()):
        groups.setdefault((key.size, fingerprint), []).append(key)
    equal = [group for group in groups.values() if len(group) > 1]
    found = [*_steps_of_seeds(equal, fingerprints), *_seeds_of_steps(equal, fingerprints)]
    return sorted(found, key=lambda finding: (not finding.is_suspect, finding.checkpoints))


def _steps_of_seeds(equal: Iterable[Sequence[ShardKey]], known: Iterable[ShardKey]) -> list[Finding]:
    """Steps of one seed that are equal; where only the first update is zero, of all seeds of a size together."""
    last: dict[tuple[str, int], int] = {}
    for key in known:
        last[key.size, key.seed] = max(key.step, last.get((key.size, key.seed), 0))
    found: list[Finding] = []
    unmoved: dict[str, list[int]] = {}
    for group in equal:
        size = group[0].size
        for seed in sorted({key.seed for key in group}):
            keys = [key for key in group if key.seed == seed]
            if {key.step for key in keys} == _BEGINNING:
                unmoved.setdefault(size, []).append(seed)
            elif len(keys) > 1:
                found.append(_copies(keys, last[size, seed], _named(size, [seed], last)))
    why = "step 1 holds the same weights as step 0, as where the learning rate of the first update is zero."
    for size, seeds in unmoved.items():
        keys = [ShardKey(size, seed, step) for seed in sorted(seeds) for step in sorted(_BEGINNING)]
        found.append(_finding(keys, f"{_named(size, sorted(seeds), last)}: {why}", "legitimate"))
    return found


def _copies(keys: Sequence[ShardKey], last: int, of: str) -> Finding:
    steps = [key.step for key in keys]
    # The last step's own weights are the likelier origin: branches are cut from it before they are filled.
    origin = last if last in steps else steps[0]
    copies = [step for step in steps if step != origin]
    verb = "holds" if len(copies) == 1 else "hold"
    return _finding(keys, f"{of}: {_steps(copies)} {verb} the same weights as step {origin}.", "certain")


def _seeds_of_steps(equal: Iterable[Sequence[ShardKey]], known: Mapping[ShardKey, str]) -> list[Finding]:
    """Seeds that are equal: of the same seeds all steps together."""
    together: dict[tuple[str, tuple[int, ...], Certainty], list[ShardKey]] = {}
    for group in equal:
        size, seeds = group[0].size, tuple(sorted({key.seed for key in group}))
        steps = {key.step for key in group}
        apart_before = 0 not in steps and any(ShardKey(size, seed, 0) in known for seed in seeds)
        shared_start = steps <= _BEGINNING and not apart_before
        if len(seeds) > 1:
            together.setdefault((size, seeds, "legitimate" if shared_start else "certain"), []).extend(group)
    found = []
    for (size, seeds, certainty), keys in together.items():
        steps_of = {seed: sorted(key.step for key in keys if key.seed == seed) for seed in seeds}
        if len({tuple(steps) for steps in steps_of.values()}) == 1:
            said = f"{size}: seeds {_numbers(seeds)} hold the same weights at {_steps(steps_of[seeds[0]])}"
        else:
            each = [f"seed {seed} at {_steps(steps)}" for seed, steps in steps_of.items()]
            said = f"{size}: the same weights are held by {_listed(each)}"
        why = ", as where seeds differ in the order of the data alone." if certainty == "legitimate" else "."
        found.append(_finding(keys, said + why, certainty))
    return found


def _finding(keys: Iterable[ShardKey], sentence: str, certainty: Certainty) -> Finding:
    kept = tuple(sorted(keys))
    return Finding(RULE, kept, sentence, f"{len(kept)} shards, equal in every bit of what they recorded", certainty)


def _named(size: str, seeds: Sequence[int], known: Iterable[tuple[str, int]]) -> str:
    """The seeds of a size; the size alone where it has one seed."""
    if sum(of == size for of, _ in known) == 1:
        return size
    return f"{size} seed{'s' * (len(seeds) > 1)} {_numbers(seeds)}"


def _steps(steps: Sequence[int]) -> str:
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {_numbers(steps)}"


def _numbers(numbers: Sequence[int]) -> str:
    if len(numbers) > _NAMED:
        return f"{', '.join(map(str, numbers[:_NAMED]))}, … {numbers[-1]} ({len(numbers)} in all)"
    return _listed([str(number) for number in numbers])


def _listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]
