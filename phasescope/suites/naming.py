"""How names tell steps: patterns with groups, and a pattern that fits names which no pattern fitted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from phasescope.errors import BadArgumentError, PhasescopeError

STEP_PATTERN = r"step(?P<step>\d+)$"
_SHOWN = 8


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with a group `step`. Raises `PhasescopeError` for one that is none, or has none."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise BadArgumentError(f"{pattern!r} is not a regular expression: {error}.") from error
    if "step" not in expression.groupindex:
        raise BadArgumentError(
            f"The pattern {pattern!r} does not say where the step is: put it in a group, as in {STEP_PATTERN!r}."
        )
    return expression


def number(text: str, what: str, name: str) -> int:
    """The number that a group found. Raises `PhasescopeError` where it is none. name: as messages call the whole."""
    if not text.isdecimal():
        raise PhasescopeError(f"The {what} of {name} is {text!r}, not a number: write (?P<{what}>\\d+) in the pattern.")
    return int(text)


def pattern_for(names: Sequence[str]) -> str:
    r"""A pattern that finds the step in names like these: the number after a word for it, or the first that varies.

    >>> pattern_for(["stage1-step1000-tokens4B", "stage1-step2000-tokens8B"])
    'step(?P<step>\\d+)'
    >>> pattern_for(["ckpt_000", "ckpt_356"])
    'ckpt_(?P<step>\\d+)'
    >>> pattern_for(["run2-0100", "run2-0200"])
    '(?<!\\d)\\d+\\D+(?P<step>\\d+)'
    """
    words = [re.search(r"(?i)([a-z]*(?:step|checkpoint|ckpt|chck|iter)[a-z]*[-_]?)0*\d", name) for name in names]
    if found := sorted({word[1] for word in words if word}):
        word = found[0] if len(found) == 1 else f"(?:{'|'.join(found)})"
        return rf"{word}(?P<step>\d+)"
    numbers = [re.findall(r"\d+", name) for name in names]
    varying = next((place for place, of in enumerate(zip(*numbers, strict=False)) if len(set(of)) > 1), 0)
    return r"(?<!\d)" + r"\d+\D+" * varying + r"(?P<step>\d+)"


def shown(names: Sequence[str]) -> str:
    """Some names, for a sentence."""
    return ", ".join(names[:_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")
