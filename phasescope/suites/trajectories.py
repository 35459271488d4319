"""From what names tell to trajectories: seeds as numbers, and the stages of a run one after another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from phasescope.errors import PhasescopeError
from phasescope.suites.naming import Told
from phasescope.suites.suite import Checkpoint, Suite

# Stages whose names do not say by a number or by the alphabet that they come after the others.
_LATE = re.compile(r"(?i)decay|cool|anneal|sft|dpo|rl")


@dataclass(frozen=True)
class Found:
    """A checkpoint as its name tells it, and where it is: the fields of `Checkpoint`."""

    told: Told
    name: str
    """What told it: a folder's path, a revision, the title of a commit."""
    location: str
    revision: str | None = None
    folder: str = ""


def assembled(
    family: str,
    source: str,
    found: Sequence[Found],
    *,
    left_out: Sequence[str] = (),
    stages: Sequence[str] = (),
    unit: str | None = None,
) -> Suite:
    """The suite of what was found.

    - Seeds that are words become numbers: `default` 0, `small-aux-2` 2; or, where these do not differ, their places.
    - Stages follow one another in the order of `stages`, or of their names (`stage1`, `stage2`; what has no stage comes
      first, or belongs to `stage1` where there is one; `decay`, `anneal`, `sft` come last). The steps of a stage that
      begins anew are counted on from the last step of the one before; those of one that goes on stay as they are.
      Tokens likewise. A stage that tells no seed where others do is a trunk (or an end) that all these seeds share.

    left_out: names that were not matched. unit: what is counted, where names do not say it.

    Raises `PhasescopeError` where names count in several units, or two are one checkpoint.
    """
    units = sorted({one.told.unit for one in found})
    if unit is None and len(units) > 1:
        raise PhasescopeError(
            f"The names in {source} count {' and '.join(units)}: give a pattern that finds only one of these."
        )
    checkpoints: list[Checkpoint] = []
    repeated: list[str] = []
    for size, group in groupby(sorted(found, key=_size_of), key=_size_of):
        of_size = _in_first_stage(list(group))
        seeds = _numbered({one.told.seed for one in of_size})
        for seed, members in _branches(of_size):
            for one, step, tokens in _one_after_another(members, stages):
                if step is None:
                    repeated.append(one.name)
                    continue
                word = "" if seed.isdecimal() else seed
                where = (one.location, one.revision, None, one.folder)
                checkpoints.append(
                    Checkpoint(
                        family, size or family, seeds[seed], step, *where, tokens, one.told.stage, seed_name=word
                    )
                )
    names = tuple(dict.fromkeys([*left_out, *repeated]))
    return Suite(family, source, tuple(checkpoints), names, unit or (units or ["steps"])[0])


def shared_with(checkpoints: Iterable[Checkpoint]) -> dict[Checkpoint, int]:
    """Of the trunk that branches share: of each checkpoint that is another seed's as well, the first such seed."""
    first: dict[tuple[object, ...], int] = {}
    shared: dict[Checkpoint, int] = {}
    for one in sorted(checkpoints, key=lambda one: one.seed):
        # Two names of one revision are no trunk, and no step is at two places of one.
        place = (one.size, one.step, one.location, one.revision, one.folder, one.file)
        if first.setdefault(place, one.seed) != one.seed:
            shared[one] = first[place]
    return shared


def _size_of(found: Found) -> str:
    """What tells models apart that are no seeds of one another."""
    return "-".join(part for part in (found.told.size, found.told.recipe) if part)


def _numbered(words: Collection[str]) -> dict[str, int]:
    """A number for each seed: its own, that at its end, or its place in the alphabet.

    >>> _numbered(["default", "small-aux-3", "small-aux-2"])
    {'default': 0, 'small-aux-2': 2, 'small-aux-3': 3}
    """
    names = sorted(word for word in words if not (word or "0").isdecimal())
    numbers = {word: int(word or "0") for word in words if word not in names}
    ends = {word: int(end[1]) if (end := re.search(r"(\d+)$", word)) else 0 for word in names}
    if len({*numbers.values(), *ends.values()}) < len({*numbers.values()}) + len(names):
        beyond = max(numbers.values(), default=-1) + 1
        ends = {word: beyond + place for place, word in enumerate(names)}
    return numbers | ends


def _in_first_stage(found: list[Found]) -> list[Found]:
    """Where some names tell the first stage and some none, as of one run: these belong to it."""
    stages = {one.told.stage for one in found}
    first = next((stage for stage in sorted(stages) if re.fullmatch(r"\D*0*1", stage)), "")
    if "" not in stages or not first:
        return found
    return [replace(one, told=replace(one.told, stage=one.told.stage or first)) for one in found]


def _branches(found: Sequence[Found]) -> Iterator[tuple[str, list[Found]]]:
    """The checkpoints of each seed, with the stages that all seeds share."""
    seeds_of: dict[str, set[str]] = {}
    for one in found:
        seeds_of.setdefault(one.told.stage, set()).add(one.told.seed)
    own = [stage for stage, seeds in seeds_of.items() if seeds != {""}]
    shared = seeds_of.keys() - own if own else set()
    for seed in sorted({one.told.seed for one in found if one.told.stage not in shared}):
        yield seed, [one for one in found if one.told.stage in shared or one.told.seed == seed]


def _one_after_another(found: Sequence[Found], stages: Sequence[str]) -> Iterator[tuple[Found, int | None, int | None]]:
    """Each with its step and its tokens on one trajectory; no step for the beginning of a stage that is an end too."""
    place = {stage: index for index, stage in enumerate(stages)}
    ordered = sorted(
        {one.told.stage for one in found}, key=lambda stage: (place.get(stage, len(stages)), _order(stage))
    )
    end = seen = 0
    for index, stage in enumerate(ordered):
        here = [one for one in found if one.told.stage == stage]
        told = [one.told.tokens for one in here if one.told.tokens is not None]
        anew = index > 0 and min(one.told.step for one in here) <= end
        counted_anew = index > 0 and bool(told) and min(told) <= seen
        before, read = end if anew else 0, seen if counted_anew else 0
        for one in here:
            tokens = None if one.told.tokens is None else read + one.told.tokens
            yield one, None if anew and one.told.step == 0 else before + one.told.step, tokens
        end = before + max(one.told.step for one in here)
        seen = max(seen, read + max(told, default=0))


def _order(stage: str) -> tuple[bool, bool, list[tuple[bool, int, str]]]:
    """A sorting key: no stage, then by their words and numbers, then those that come late by what they are."""
    parts = re.findall(r"\d+|\D+", stage)
    keys = [(part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]
    return stage != "", _LATE.search(stage) is not None, keys


def stages_of(suite: Suite) -> Mapping[str, Mapping[str, tuple[int, int]]]:
    """For each size with more than one stage: the first and the last step of each stage, in order."""
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for checkpoint in suite:
        stages = found.setdefault(checkpoint.size, {})
        first, last = stages.get(checkpoint.stage, (checkpoint.step, checkpoint.step))
        stages[checkpoint.stage] = min(first, checkpoint.step), max(last, checkpoint.step)
    return {
        size: dict(sorted(stages.items(), key=lambda item: item[1]))
        for size, stages in found.items()
        if len(stages) > 1
    }
