"""How many tokens the checkpoints of a run had read, and what is counted where the run is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.counting import Counting, Knots
from phasescope.errors import BadArgumentError, PhasescopeError

if TYPE_CHECKING:
    from phasescope.suites import Suite

_REMEDY = "Say how many one of its {unit} reads: --axis tokens=2097152, say (sequences in a batch × their length)."


def counting_of(manifest: Mapping[str, Any], axis: str | None = None) -> Counting:
    """What is counted where a run is shown.

    axis: `tokens`; `tokens=2097152`, where a step reads so many; None or the run's own unit: what the run counts.

    Raises `PhasescopeError` for another axis, and where tokens are not known.
    """
    unit = str(manifest.get("unit") or "steps")
    wanted, equals, each = (axis or unit).partition("=")
    if wanted == unit and not equals:
        return Counting(unit, _scale_of(manifest) if unit == "words" else 1.0)
    if wanted != "tokens" or unit == "tokens":
        other = "" if unit == "tokens" else ", of tokens, or of tokens=N, where one reads N"
        raise BadArgumentError(f"The axis of this run is of {unit}{other}: not of {axis!r}.")
    sizes = dict.fromkeys(str(one["size"]) for one in manifest.get("checkpoints", ()))
    read = {size: _knots(manifest, size, unit, each if equals else None) for size in sizes}
    if not read:
        return Counting(unit)  # there is nothing to show
    return Counting("tokens", min(tokens[-1] / steps[-1] for steps, tokens in read.values()), read)


def counting_of_suite(suite: Suite, axis: str | None = None) -> Counting:
    """The same of a suite that no run was captured from."""
    told = [{"size": one.size, "step": one.step, "tokens": one.tokens} for one in suite]
    about = {"unit": suite.unit, "source": suite.source, "checkpoints": told}
    return counting_of(about, axis)


def _scale_of(manifest: Mapping[str, Any]) -> float:
    """Where the first number is 0, the second, so that there is no empty place between them; else 1."""
    steps = sorted({int(one["step"]) for one in manifest.get("checkpoints", ())})
    return float(steps[1]) if len(steps) > 1 and steps[0] == 0 else 1.0


def _knots(manifest: Mapping[str, Any], size: str, unit: str, each: str | None) -> Knots:
    entries = [one for one in manifest.get("checkpoints", ()) if one["size"] == size]
    steps = sorted({int(one["step"]) for one in entries} | {1})
    if each is not None:
        return _regular(steps, _per_step(each))
    told = {int(one["step"]): int(one["tokens"]) for one in reversed(entries) if one.get("tokens") is not None}
    if any(told.values()):
        return knots_of(told)
    if known := _of_preset(str(manifest.get("source")), size):
        return _regular(steps, known)
    raise PhasescopeError(
        f"How many tokens {size} had read is not known: the names of its checkpoints do not tell it. "
        + _REMEDY.format(unit=unit)
    )


def _per_step(each: str) -> int:
    if not each.isdecimal() or int(each) == 0:
        raise BadArgumentError(f"{each!r} is no number of tokens: write --axis tokens=2097152, say.")
    return int(each)


def _of_preset(source: str, size: str) -> int | None:
    """What a step of a known suite reads; None where that is not known, or not the same all along."""
    from phasescope.suites.presets import PRESETS

    return PRESETS[source].tokens_of(size) if source in PRESETS else None


def _regular(steps: Sequence[int], each: int) -> Knots:
    known = sorted({0, *steps})
    return tuple(known), tuple(step * each for step in known)


def knots_of(told: Mapping[int, int]) -> Knots:
    """Steps and tokens, rising, from what names tell, which is rounded: `step1000-tokens4B`.

    Where one number of tokens for each step fits them all, to their last digit, it is that: the names of early steps
    tell next to nothing (`tokens0B`). Otherwise they are taken as they are, without those that are no more than the
    ones before.

    >>> knots_of({250: 1_000_000_000, 500: 1_000_000_000, 1000: 2_000_000_000})
    ((0, 250, 500, 1000), (0, 500000000, 1000000000, 2000000000))
    """
    digit = next(size for size in (10**12, 10**9, 10**6, 10**3, 1) if all(value % size == 0 for value in told.values()))
    steps = sorted({0, *told})
    last = steps[-1]
    each = told[last] / last
    if all(abs(each * step - value) <= digit * (1 + step / last) for step, value in told.items()):
        return tuple(steps), tuple(round(each * step) for step in steps)
    pairs = [(0, told.get(0, 0))]
    for step in sorted(told):
        if step > pairs[-1][0] and told[step] > pairs[-1][1]:
            pairs.append((step, told[step]))
    return tuple(step for step, _ in pairs), tuple(tokens for _, tokens in pairs)
