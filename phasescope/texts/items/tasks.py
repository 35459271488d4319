"""Multiple-choice tasks of any format that is read, and the items that every checkpoint scores for them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.texts.items.bigbench import read_bigbench
from phasescope.texts.items.encoder import BEFORE
from phasescope.texts.items.harness_samples import read_samples
from phasescope.texts.items.harness_task import read_harness_task
from phasescope.texts.items.items import Items, join
from phasescope.texts.items.question import Question, Task

if TYPE_CHECKING:
    from jaxtyping import Int

    from phasescope.texts.items.encoder import ItemEncoder

KIND = "multiple_choice"


def read_task(path: Path) -> Task:
    """A BIG-Bench `task.json`, a task of lm-evaluation-harness (.yaml), or what it logged (`samples_*.jsonl`).

    Raises:
        PhasescopeError: none of them, or one that cannot be used; the message names the file, the place in it and the
            field.
    """
    if path.suffix in (".yaml", ".yml"):
        return read_harness_task(path)
    if path.suffix == ".jsonl":
        return read_samples(path)
    if path.suffix != ".json":
        raise PhasescopeError(
            f"{path} is no task with options: give a BIG-Bench task.json, or of lm-evaluation-harness a .yaml or a "
            "samples_*.jsonl."
        )
    try:
        task = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhasescopeError(f"The task {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise PhasescopeError(f"{path} is not JSON: {error}.") from error
    if not isinstance(task, dict):
        raise PhasescopeError(f"{path} is a JSON {type(task).__name__}, not a BIG-Bench task with 'examples'.")
    return read_bigbench(path, task)


def named_task(source: str) -> tuple[Path, int | None]:
    """The file and the number of shots of `FILE` or `FILE:SHOTS`.

    >>> named_task("arc_easy.yaml:5")
    (PosixPath('arc_easy.yaml'), 5)
    """
    file, _, shots = source.rpartition(":")
    return (Path(file), int(shots)) if file and shots.isdecimal() else (Path(source), None)


def task_items(task: Task, encoder: ItemEncoder, *, shots: int | None = None, longest: int) -> Items:
    """An item for every option of every question, cut into tokens as lm-evaluation-harness does.

    Blanks at the end of a prompt belong to the option; prompt and option are encoded together, and what goes beyond
    the tokens of the prompt is the option. Where a prompt is empty, the token that begins a text stands in its place.
    What is longer than `longest` loses tokens at its beginning. Columns: question, option, right (1 or 0), characters
    (of the option as written, by which normalised accuracy divides), shots (-1: those of a log, not known).

    Args:
        shots: questions with answers before each question; None: as many as the task asks for.
        longest: tokens that an item may have.

    Raises:
        PhasescopeError: shots that cannot be drawn, an option that has no tokens of its own or too many.
    """
    asked = task.shots if shots is None else shots
    prefixes = task.prefixes(asked)
    sequences: list[Int[np.ndarray, "length"]] = []
    spans: list[tuple[int, int]] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("question", "option", "right", "characters", "shots")}
    for number, (question, prefix) in enumerate(zip(task.questions, prefixes, strict=True)):
        for option, (tokens, span) in enumerate(_encoded(question, prefix, encoder, longest)):
            sequences.append(tokens)
            spans.append(span)
            row = (number, option, int(option in question.right), len(question.choices[option]))
            for name, value in zip(columns, (*row, -1 if task.shown else asked), strict=True):
                columns[name].append(value)
    return join(KIND, _set_name(task, asked), sequences, spans, columns, task.source, encoder.framing)


def _encoded(
    question: Question, prefix: str, encoder: ItemEncoder, longest: int
) -> Iterator[tuple[Int[np.ndarray, "length"], tuple[int, int]]]:
    """The tokens of each option with what is read before it, and which of them are the option's."""
    framed = encoder.framing is not None
    room = longest - 2 * int(framed)
    for number, (prompt, option) in enumerate(zip(question.prompts, question.options, strict=True)):
        before, after = _split(prefix + prompt, option, encoder)
        if not len(after):
            raise PhasescopeError(f"{question.place}: option {number} has no token of its own after the prompt.")
        if len(after) >= room:
            raise PhasescopeError(
                f"{question.place}: option {number} has {counted(len(after), 'token')}, and these models can "
                f"score {longest} at once."
            )
        before = before[max(len(before) + len(after) - room, 0) :]
        tokens, first = np.concatenate([before, after]), len(before)
        if framed:
            tokens, first = encoder.around(tokens), first + BEFORE
        yield tokens, (first, first + len(after))


def _split(
    prompt: str, option: str, encoder: ItemEncoder
) -> tuple[Int[np.ndarray, "before"], Int[np.ndarray, "after"]]:
    bare = prompt.rstrip()
    option = prompt[len(bare) :] + option
    if bare:
        before = encoder.encode(bare).tokens
        return before, encoder.encode(bare + option).tokens[len(before) :]
    return np.array([encoder.begin], dtype=np.int32), encoder.encode(option).tokens


def _set_name(task: Task, shots: int) -> str:
    """A name of a folder, in which sets with other numbers of shots do not meet."""
    name = re.sub(r"[^\w.+-]+", "_", task.name).lstrip(".+-") or "task"
    return f"{name}-{shots}-shots" if shots else name
