"""BIG-Bench's JSON tasks (Srivastava et al. 2022, arXiv 2206.04615), those with options."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.items.question import SHOTS_SEED, Question, Task
from phasescope.texts.readers.odd_rows import OddRows

# What BIG-Bench takes where a task does not say.
_DEFAULTS: dict[str, Any] = {
    "task_prefix": "",
    "example_input_prefix": "\nQ: ",
    "example_output_prefix": "\nA: ",
    "choice_prefix": "\n  choice: ",
    "few_shot_example_separator": "\n",
    "append_choices_to_input": True,
}


def read_bigbench(path: Path, task: dict[str, Any]) -> Task:
    """A `task.json` that was parsed: `examples` with `input` and `target_scores`.

    A prompt is example_input_prefix, the input, the options (each after choice_prefix, in an order drawn at random, if
    append_choices_to_input) and example_output_prefix. Right are the options with the highest score. One
    odd example of many is left out and told.

    Raises:
        PhasescopeError: a field that is missing or of another kind; the message names the example.
    """
    examples = task.get("examples")
    if not isinstance(examples, list) or not examples:
        raise PhasescopeError(f"{path}: the field 'examples' must be a list of examples, and not empty.")
    settings = {name: _setting(path, task, name, default) for name, default in _DEFAULTS.items()}
    draw = random.Random(SHOTS_SEED)
    questions: list[Question] = []
    with OddRows(path, "examples") as odd:
        for number, example in enumerate(examples):
            with odd.row():
                questions.append(_question(f"{path} example {number}", example, settings, draw))
    separator = settings["few_shot_example_separator"]
    return Task(_name(path, task), tuple(questions), str(path), settings["task_prefix"], separator)


def _setting(path: Path, task: dict[str, Any], name: str, default: Any) -> Any:
    value = task.get(name, default)
    if not isinstance(value, type(default)):
        raise PhasescopeError(f"{path}: the field {name!r} is {json.dumps(value)}, not a {type(default).__name__}.")
    return value


def _question(place: str, example: Any, settings: dict[str, Any], draw: random.Random) -> Question:
    if not isinstance(example, dict):
        raise PhasescopeError(f"{place} is not an object with 'input' and 'target_scores'.")
    for name, kind in (("input", str), ("target_scores", dict)):
        if name not in example:
            also = " It has a 'target', to be written freely: no options." if "target" in example else ""
            raise PhasescopeError(f"{place} has no field {name!r}. {did_you_mean(name, example)}{also}")
        if not isinstance(example[name], kind):
            raise PhasescopeError(f"{place}: the field {name!r} is not a {kind.__name__}.")
    scores = example["target_scores"]
    if not all(isinstance(score, int | float) for score in scores.values()):
        raise PhasescopeError(f"{place}: the field 'target_scores' gives an option a score that is not a number.")
    prompt = settings["example_input_prefix"] + example["input"]
    if settings["append_choices_to_input"]:
        prompt += "".join(settings["choice_prefix"] + option for option in draw.sample(sorted(scores), len(scores)))
    prompt += settings["example_output_prefix"]
    options, best = tuple(scores), max(scores.values(), default=0)
    right = tuple(number for number, score in enumerate(scores.values()) if score == best and best > 0)
    shot = prompt + options[right[0]] if right else ""
    return Question(place, (prompt,) * len(options), options, options, right, shot)


def _name(path: Path, task: dict[str, Any]) -> str:
    """Tasks lie in folders of their name, each as `task.json`."""
    name = task.get("name")
    if isinstance(name, str) and name:
        return name
    return path.parent.name if path.stem == "task" else path.stem
