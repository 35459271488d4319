"""Tasks of lm-evaluation-harness: a configuration in YAML, and the documents that it names."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.items.harness_documents import read_config, read_split
from phasescope.texts.items.harness_samples import right_of
from phasescope.texts.items.question import Question, Task
from phasescope.texts.readers.odd_rows import OddRows

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

# What changes questions or answers in ways that are not done here.
_REFUSED = (
    "process_docs", "process_results", "use_prompt", "gen_prefix", "custom_dataset", "doc_to_image", "doc_to_audio"
)  # fmt: skip
_DEFAULTS = {"description": "", "target_delimiter": " ", "fewshot_delimiter": "\n\n"}


def read_harness_task(path: Path) -> Task:
    """A task with `output_type: multiple_choice`.

    Read are task, include, dataset_path, dataset_name, dataset_kwargs.data_files, the four splits, doc_to_text,
    doc_to_choice, doc_to_target (names of fields, or Jinja templates), description, target_delimiter,
    fewshot_delimiter, fewshot_config.samples and num_fewshot. Metrics, tags and metadata do not matter. One odd
    document of many is left out and told.

    Raises:
        PhasescopeError: another output type, what needs Python code, a field that is missing in a document; the
            message names the file, the line and the field.
    """
    config = read_config(path)
    if config.get("output_type") != "multiple_choice":
        raise PhasescopeError(
            f"{path}: output_type is {config.get('output_type', 'not given')!r}. Only tasks with options are read: "
            "multiple_choice."
        )
    for name in _REFUSED:
        if config.get(name):
            raise PhasescopeError(
                f"{path}: {name!r} is not done here. Run the harness with --log_samples, and give its samples_*.jsonl."
            )
    for name in ("doc_to_text", "doc_to_choice", "doc_to_target"):
        if config.get(name) is None:
            raise PhasescopeError(f"{path} has no field {name!r}. {did_you_mean(name, config)}")
    asked = config.get("test_split") or config.get("validation_split")
    if not asked:
        raise PhasescopeError(f"{path} names no test_split or validation_split, so nothing is asked.")
    texts = {name: str(config.get(name, default)) for name, default in _DEFAULTS.items()}
    questions = _questions(path, config, read_split(path, config, asked), texts)
    pool, within = _pool(path, config, asked, texts)
    return Task(
        str(config.get("task") or path.stem),
        questions,
        str(path),
        texts["description"],
        "",  # after each shot, as it is made
        pool,
        within,
        int(config.get("num_fewshot") or 0),
    )


def _pool(path: Path, config: dict[str, Any], asked: str, texts: dict[str, str]) -> tuple[tuple[Question, ...], bool]:
    """What shots are drawn from, and whether a question is looked for among its own, both as in the harness."""
    samples = (config.get("fewshot_config") or {}).get("samples")
    split = config.get("fewshot_split")
    within = split == config.get("test_split")
    if samples and not split:
        documents = [(f"{path}: sample {number}", sample) for number, sample in enumerate(samples)]
        return _questions(path, config, documents, texts), within
    drawn = split or config.get("training_split") or config.get("validation_split") or asked
    if drawn == asked:
        return (), True
    return _questions(path, config, read_split(path, config, drawn), texts), within


def _questions(
    path: Path, config: dict[str, Any], documents: Sequence[tuple[str, dict[str, Any]]], texts: dict[str, str]
) -> tuple[Question, ...]:
    fields = frozenset(name for _, document in documents for name in document)
    reading = _Reading(path, config, fields, texts)
    questions: list[Question] = []
    with OddRows(path, "documents") as odd:
        for place, document in documents:
            with odd.row():
                questions.append(reading.question(place, document))
    return tuple(questions)


@dataclass(frozen=True)
class _Reading:
    """How a document becomes a question."""

    path: Path
    config: dict[str, Any]
    fields: frozenset[str]
    texts: dict[str, str]

    def question(self, place: str, document: dict[str, Any]) -> Question:
        text = self._value("doc_to_text", place, document)
        choices = self._choices(place, document)
        target = self._value("doc_to_target", place, document)
        blank, end = self.texts["target_delimiter"], self.texts["fewshot_delimiter"]
        if isinstance(text, str) and text.isdigit() and self.config["doc_to_text"] not in self.fields:
            text = int(text)
        if isinstance(text, int):  # the options stand within the question; the text says which is right
            right = right_of(text, choices, f"{place}: 'doc_to_text'")
            shot = f"{choices[right[0]]}{blank}{target}{end}"
            return Question(place, choices, (f"{blank}{target}",) * len(choices), choices, right, shot)
        if not isinstance(text, str):
            raise PhasescopeError(f"{place}: 'doc_to_text' gives a {type(text).__name__}, not a text.")
        literal = self.config["doc_to_target"] not in self.fields
        if literal and isinstance(target, str) and target.isdigit():
            target = int(target)  # a template that gives digits means the number
        right = right_of(target, choices, f"{place}: 'doc_to_target'")
        options = tuple(f"{blank}{choice}" for choice in choices)
        shot = f"{text}{options[right[0]]}{end}"
        return Question(place, (text,) * len(options), options, choices, right, shot)

    def _choices(self, place: str, document: dict[str, Any]) -> tuple[str, ...]:
        choices = self._value("doc_to_choice", place, document)
        if isinstance(choices, Mapping):
            choices = list(choices.values())
        if isinstance(choices, str):
            try:
                choices = ast.literal_eval(choices)
            except (SyntaxError, ValueError) as error:
                raise PhasescopeError(f"{place}: 'doc_to_choice' gives {choices!r}, not a list of options.") from error
        if not isinstance(choices, list | tuple) or not all(isinstance(choice, str) for choice in choices):
            raise PhasescopeError(f"{place}: 'doc_to_choice' gives {choices!r}, not a list of texts.")
        return tuple(choices)

    def _value(self, name: str, place: str, document: dict[str, Any]) -> Any:
        """What a field of the configuration gives for a document: the document's field of that name, or a template."""
        from jinja2 import TemplateError

        asked = self.config[name]
        if not isinstance(asked, str):
            return asked
        if asked in self.fields:
            if asked not in document:
                raise PhasescopeError(f"{place} has no field {asked!r}. {did_you_mean(asked, document)}")
            return document[asked]
        try:
            return self._templates.from_string(asked).render(**document)
        except (TemplateError, ValueError, TypeError, LookupError) as error:
            there = ", ".join(sorted(document))
            raise PhasescopeError(
                f"{place}: the template {name!r} cannot be filled: {error}. The fields are: {there}."
            ) from error

    @cached_property
    def _templates(self) -> SandboxedEnvironment:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        # Templates come with tasks that others wrote, so they run where they can reach nothing.
        environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
        environment.filters["regex_replace"] = _regex_replace
        return environment


def _regex_replace(text: str, pattern: str, new: str, count: int = 0) -> str:
    return re.sub(pattern, new, text, count=count)
