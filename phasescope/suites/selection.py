"""Which steps of a training run to visit: all, log-spaced, every so many, the last, or a list."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean, nearest_number

WORDS = ("all", "log", "last")


@dataclass(frozen=True)
class StepSelection:
    """A parsed choice of steps: the union of its rules.

    A rule is a step number, or `all`, `log`, `last` or `every:N`.
    """

    rules: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str | int | Sequence[int | str] | StepSelection) -> StepSelection:
        """Read a choice of steps as typed or as given in Python.

        >>> StepSelection.parse("0,512,last").rules
        (0, 512, 'last')
        >>> StepSelection.parse([0, 512]).rules
        (0, 512)

        Raises `PhasescopeError` for a word that is no rule, quoting it.
        """
        if isinstance(text, StepSelection):
            return text
        given: Sequence[int | str] = [text] if isinstance(text, int) else text
        if isinstance(text, str):
            given = text.split(",")
        rules = [_rule(part) for part in given]
        if not rules:
            raise BadArgumentError(
                "The choice of steps is empty: give step numbers, all, log, last or every:N (say every:10000)."
            )
        return cls(tuple(rules))

    def among(self, steps: Iterable[int]) -> tuple[int, ...]:
        """Of the steps there are, those chosen, ascending. Numbers that are not there choose nothing.

        - `all`: every step; `last`: the last;
        - `log`: for 0 and each power of two, the nearest step there is; and the last;
        - `every:N`: the multiples of N (0 is one) that are there; and the last.
        """
        there = sorted(set(steps))
        chosen: set[int] = set()
        for rule in self.rules if there else ():
            chosen.update(_chosen_by(rule, there))
        return tuple(sorted(chosen))

    def wants(self, step: int) -> bool:
        """Whether a step is chosen of a training that is still going on, whose last step nobody knows yet.

        >>> [step for step in range(13) if StepSelection.parse("log,every:5").wants(step)]
        [0, 1, 2, 4, 5, 8, 10]
        """
        return any(
            rule == step if isinstance(rule, int) else _wants(rule, step) for rule in self.rules if rule != "last"
        )

    def require_in(self, steps: Iterable[int], place: str) -> None:
        """Raise `PhasescopeError` if a step asked for by its number is not among `steps` of `place`."""
        there = set(steps)
        for rule in self.rules:
            if isinstance(rule, int) and rule not in there:
                raise PhasescopeError(f"There is no step {rule} in {place}. {nearest_number(rule, there)}")


def select_steps(text: str | int | Sequence[int | str], steps: Iterable[int]) -> tuple[int, ...]:
    """Of the steps there are, those chosen by `text`, ascending.

    >>> select_steps("log", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    (0, 1, 2, 4, 8, 10)
    >>> select_steps("every:5", range(13))
    (0, 5, 10, 12)

    Raises `PhasescopeError` for a word that is no rule, or a number that is no step (with the nearest).
    """
    there = tuple(steps)
    selection = StepSelection.parse(text)
    selection.require_in(there, "the steps there are")
    return selection.among(there)


def _rule(part: int | str) -> int | str:
    if isinstance(part, int):
        return part
    text = part.strip().lower()
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    every = re.fullmatch(r"every:(\d+)", text)
    if text in WORDS or (every and int(every[1]) > 0):
        return text
    remedy = did_you_mean(text.partition(":")[0], [*WORDS, "every:N", "step numbers"])
    raise BadArgumentError(f"{part.strip()!r} is not a choice of steps. {remedy}")


def _wants(rule: str, step: int) -> bool:
    if rule == "log":
        return step & (step - 1) == 0  # zero and the powers of two
    return rule == "all" or step % int(rule.removeprefix("every:")) == 0


def _chosen_by(rule: int | str, there: Sequence[int]) -> set[int]:
    last = there[-1]
    if rule == "all":
        return set(there)
    if rule == "last":
        return {last}
    if rule == "log":
        wanted = [0, *(2**power for power in range(last.bit_length()))]
        return {min(there, key=lambda step: (abs(step - target), step)) for target in wanted} | {last}
    if isinstance(rule, str):
        spacing = int(rule.removeprefix("every:"))
        return {step for step in there if step % spacing == 0} | {last}
    return {rule} & set(there)
