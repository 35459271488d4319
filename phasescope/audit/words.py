"""How findings name checkpoints in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from phasescope.store import ShardKey

_NAMED = 12


def model(size: str, seeds: Sequence[int], known: Iterable[tuple[str, int]]) -> str:
    """The seeds of a size; the size alone where it has one seed. known: the sizes and seeds that there are."""
    if len({seed for of, seed in known if of == size}) == 1:
        return size
    return f"{size} seed{'s' * (len(seeds) > 1)} {numbers(seeds)}"


def checkpoints(keys: Iterable[ShardKey], known: Iterable[tuple[str, int]]) -> str:
    """Any checkpoints: `14m seed 1 at steps 2 and 3 and 14m seed 2 at step 3`."""
    of: dict[tuple[str, int], list[int]] = {}
    there = list(known)
    for key in sorted(keys):
        of.setdefault((key.size, key.seed), []).append(key.step)
    return listed([f"{model(size, [seed], there)} at {steps(found)}" for (size, seed), found in of.items()])


def steps(found: Sequence[int]) -> str:
    return f"step {found[0]}" if len(found) == 1 else f"steps {numbers(found)}"


def numbers(found: Sequence[int]) -> str:
    if len(found) > _NAMED:
        return f"{', '.join(map(str, found[:_NAMED]))}, … {found[-1]} ({len(found)} in all)"
    return listed([str(number) for number in found])


def listed(parts: Sequence[str]) -> str:
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else parts[0]


def verb(number: int, one: str, several: str) -> str:
    return one if number == 1 else several
