"""Multiple-choice questions, as every task format is read into them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from phasescope.console import counted
from phasescope.errors import PhasescopeError

# What lm-evaluation-harness draws shots with, unless told otherwise.
SHOTS_SEED = 1234


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        place: where it stands, for people: `tasks.jsonl line 3`.
        prompts: what is read before each option: the same for all, unless the options stand within the question.
        options: what is scored after it, with the blank that separates the two.
        choices: the options as written in the task, by whose length normalised accuracy divides.
        right: which options are right: one, or several.
        shot: the question with its answer, as it is shown before others.

    Raises:
        PhasescopeError: fewer than two options, an empty one, or no option that is right.
    """

    place: str
    prompts: tuple[str, ...]
    options: tuple[str, ...]
    choices: tuple[str, ...]
    right: tuple[int, ...]
    shot: str = ""

    def __post_init__(self) -> None:
        if len(self.options) < 2:
            raise PhasescopeError(
                f"{self.place} has {counted(len(self.options), 'option')}: there is nothing to choose from."
            )
        for number, (option, choice) in enumerate(zip(self.options, self.choices, strict=True)):
            if not choice or not option:
                raise PhasescopeError(f"{self.place}: option {number} is empty. Leave the question out.")
        if not self.right or not all(0 <= place < len(self.options) for place in self.right):
            said = ", ".join(map(str, self.right)) or "none"
            raise PhasescopeError(
                f"{self.place}: the right option is said to be {said}, and there are options 0 to "
                f"{len(self.options) - 1}."
            )


@dataclass(frozen=True)
class Task:
    """Questions of one kind.

    Attributes:
        name: of the task.
        questions: those that are asked.
        source: the file, for people.
        instruction: what is read before everything else.
        separator: what stands between shots.
        pool: questions that shots are drawn from; those that are asked, where the task brings no others.
        within_pool: whether those that are asked may be among the pool, so that each must be kept from its own shots.
        shots: how many the task asks for by itself.
        shown: whether the prompts are as they were read, so that shots are within them already if there are any.
    """

    name: str
    questions: tuple[Question, ...]
    source: str
    instruction: str = ""
    separator: str = "\n\n"
    pool: tuple[Question, ...] = ()
    within_pool: bool = True
    shots: int = 0
    shown: bool = False

    def prefixes(self, shots: int) -> list[str]:
        """What each question is preceded by: the instruction, and so many other questions with their answers.

        Drawn for one question after the other as lm-evaluation-harness does (Python's `random.Random(1234)`), so that
        prompts are the same as there. A question is never among its own shots, nor is one that reads the same.

        Raises:
            PhasescopeError: there are not so many to draw from, or the task does not allow any.
        """
        if shots and self.shown:
            raise PhasescopeError(
                f"{self.source} holds prompts as they were read, so no shots can be put before them: leave out the "
                "number of shots, or give the task itself."
            )
        pool = self.pool or self.questions
        if shots < 0 or shots + int(self.within_pool) > len(pool):
            raise PhasescopeError(
                f"{counted(shots, 'shot')} cannot be drawn from the {counted(len(pool), 'question')} of {self.source}"
                + (" without the question itself." if self.within_pool else ".")
            )
        draw = random.Random(SHOTS_SEED)
        return [self.instruction + self._shots(question, pool, shots, draw) for question in self.questions]

    def _shots(self, question: Question, pool: Sequence[Question], shots: int, draw: random.Random) -> str:
        if not shots:
            return ""
        drawn = draw.sample(pool, shots + int(self.within_pool))
        if self.within_pool:
            others = [other for other in drawn if other.shot != question.shot][:shots]
            if len(others) < shots:  # several read the same
                others = [other for other in pool if other.shot != question.shot]
                if len(others) < shots:
                    raise PhasescopeError(f"{self.source} has no {shots} questions that differ from {question.place}.")
                others = draw.sample(others, shots)
            drawn = others
        return "".join(other.shot + self.separator for other in drawn)
