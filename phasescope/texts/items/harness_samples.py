"""What lm-evaluation-harness read, from the logs that it writes with `--log_samples`."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.items.question import Question, Task
from phasescope.texts.readers.lines import raw_lines
from phasescope.texts.readers.odd_rows import OddRows

# `samples_<task>_<date>.jsonl`
_NAME = re.compile(r"samples_(.+?)_\d{4}-\d\d-\d\dT.*")


def read_samples(path: Path) -> Task:
    """A `samples_*.jsonl`: per question `arguments` (prompt and continuation of each option) and `target`.

    The prompts are taken as they are, shots included. One blank before all continuations is the delimiter between
    prompt and option, as the harness puts it; it is no part of the option. A log with several filters has each
    question several times: the first counts. One odd line of many is left out and told.

    Raises:
        PhasescopeError: a line that is not such a one; the message names it and the field.
    """
    questions: dict[Any, Question] = {}
    with OddRows(path, "lines") as odd:
        for line in raw_lines(path):
            if line.is_blank:
                continue
            with odd.row():
                sample = line.json_object()
                number = sample.get("doc_id", line.place)
                if number not in questions:
                    questions[number] = _question(line.place, sample)
    if not questions:
        raise PhasescopeError(f"{path} holds no samples.")
    named = _NAME.fullmatch(path.stem)
    name = named.group(1) if named else path.stem.removeprefix("samples_")
    return Task(name, tuple(questions.values()), str(path), shown=True)


def _question(place: str, sample: dict[str, Any]) -> Question:
    for name in ("arguments", "target"):
        if name not in sample:
            raise PhasescopeError(f"{place} has no field {name!r}. {did_you_mean(name, sample)}")
    pairs = list(_pairs(place, sample["arguments"]))
    prompts, options = tuple(prompt for prompt, _ in pairs), tuple(option for _, option in pairs)
    if len(pairs) > 1 and len(set(options)) == 1:
        raise PhasescopeError(
            f"{place}: the options stand within the prompts, and the log does not say which is right. Give the task's "
            "configuration (.yaml) and its documents."
        )
    half = len(pairs) // 2
    if len(pairs) % 2 == 0 and half and options[:half] == options[half:] and not any(prompts[half:]):
        prompts, options = prompts[:half], options[:half]  # asked without a prompt too, for acc_mutual_info
    blank = all(option.startswith(" ") for option in options)
    choices = tuple(option[1:] if blank else option for option in options)
    return Question(place, prompts, options, choices, right_of(sample["target"], choices, f"{place}: the 'target'"))


def _pairs(place: str, arguments: Any) -> Iterator[tuple[str, str]]:
    """(prompt, continuation) of each option; as lists, or as `{"gen_args_0": {"arg_0": …, "arg_1": …}}`."""
    entries = list(arguments.values()) if isinstance(arguments, dict) else arguments
    for entry in entries if isinstance(entries, list) else [entries]:
        pair = list(entry.values()) if isinstance(entry, dict) else entry
        if not (isinstance(pair, list) and len(pair) == 2 and all(isinstance(part, str) for part in pair)):
            raise PhasescopeError(
                f"{place}: the field 'arguments' holds no pairs of prompt and option. Is this a task with options?"
            )
        yield pair[0], pair[1]


def right_of(target: Any, choices: Sequence[str], what: str) -> tuple[int, ...]:
    """Which options a target means: a number, the text of an option, or a list of either.

    Raises:
        PhasescopeError: it means none of them, or could mean two. `what` begins the message.
    """
    if isinstance(target, list):
        return tuple(number for part in target for number in right_of(part, choices, what))
    if isinstance(target, bool) or not isinstance(target, int | str):
        raise PhasescopeError(f"{what} is {json.dumps(target)}: neither a number nor the text of an option.")
    text = str(target)
    if isinstance(target, str) and target.startswith("[") and target not in choices:
        try:
            return right_of(list(ast.literal_eval(target)), choices, what)
        except (SyntaxError, ValueError) as error:
            raise PhasescopeError(f"{what} is {target!r}: no list of numbers.") from error
    by_text = [number for number, choice in enumerate(choices) if choice == text]
    # Logs write numbers as text.
    by_number = [int(text)] if re.fullmatch(r"\d+", text) and int(text) < len(choices) else []
    if isinstance(target, int):
        by_text = []
    if by_text and by_number and by_text[0] != by_number[0]:
        raise PhasescopeError(f"{what} is {text!r}, which is option {by_text[0]} and the number of another option.")
    if not by_text and not by_number:
        raise PhasescopeError(f"{what} is {text!r}: neither the number nor the text of one of {len(choices)} options.")
    return ((by_text or by_number)[0],)
