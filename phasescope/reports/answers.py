"""How each question's answer is shown, found where the question says."""

from __future__ import annotations

from importlib import import_module

from phasescope.analyses import Question, question_named, questions
from phasescope.analyses.question import OWN
from phasescope.errors import PhasescopeError
from phasescope.reports.kit.answer import Answer
from phasescope.reports.own.plain import plain_answer


def answer_of(asked: Question) -> Answer | None:
    """How it is shown; None where one of ours says nothing of it, and plainly where another does not.

    Raises `PhasescopeError` where there is no such module, or no `ANSWER` in it.
    """
    if not asked.report:
        return None if asked.package == OWN else plain_answer(asked)
    try:
        found = getattr(import_module(asked.report), "ANSWER", None)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{asked.report}.".startswith(f"{error.name}."):
            raise
        found = None
    if not isinstance(found, Answer):
        raise PhasescopeError(
            f"The analysis {asked.name} ({asked.package}) is to be shown by {asked.report}, which has no ANSWER there."
        )
    return found


def answers() -> dict[str, Answer]:
    """Of every question that is shown, by its name, in the order of questions."""
    found = {name: answer_of(asked) for name, asked in questions().items()}
    return {name: answer for name, answer in found.items() if answer is not None}


def answer_named(name: str) -> Answer | None:
    """Of the question of that name; `PhasescopeError` with the nearest if there is none."""
    return answer_of(question_named(name))
