"""Tasks as people have them on disk: configurations of lm-evaluation-harness with their documents, and BIG-Bench's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

COLOURS = ("red", "blue", "green")


def documents(number: int, first: int = 0) -> list[dict[str, Any]]:
    """Questions of three options each, some with blanks and letters of more than one byte."""
    return [
        {
            "question": f"Which one follows {i}?  ",
            "choices": [str(i + 1), f"the {COLOURS[i % 3]} one, né", f"{i - 1} or less"],
            "answer": (7 * i) % 3,
        }
        for i in range(first, first + number)
    ]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def harness_config(folder: Path, name: str = "task", **changes: Any) -> tuple[Path, dict[str, Any]]:
    """A configuration and its documents; `changes` over the usual fields, None leaves one out."""
    write_lines(folder / "test.jsonl", documents(9) + documents(1, 3))  # one question twice
    write_lines(folder / "train.jsonl", documents(8, 100))
    config: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {
            "data_files": {"test": str(folder / "test.jsonl"), "train": str(folder / "train.jsonl")},
        },
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "Q: {{question.strip()}}\nA:",
        "doc_to_choice": "choices",
        "doc_to_target": "answer",
        "metric_list": [
            {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
        ],
    }
    config = {key: value for key, value in (config | changes).items() if value is not None}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path, config


# Each a way in which tasks put questions or draw shots.
HARNESS_TASKS: dict[str, dict[str, Any]] = {
    "zero shots": {},
    "templates": {"doc_to_choice": "{{choices}}", "doc_to_target": "{{answer}}", "description": "Answer.\n\n"},
    "shots from training": {"num_fewshot": 3, "training_split": "train"},
    "shots from the test": {"num_fewshot": 2, "fewshot_split": "test", "target_delimiter": ""},
    "validation": {"num_fewshot": 2, "test_split": None, "validation_split": "test", "training_split": "train"},
    "samples": {"num_fewshot": 1, "fewshot_config": {"samples": documents(4, 50)}, "fewshot_delimiter": "\n--\n"},
    "options in the question": {"doc_to_text": "{{answer}}", "doc_to_target": "{{question}}"},
    "texts of options": {"doc_to_choice": ["no", "yes"], "doc_to_target": "{{'yes' if answer else 'no'}}"},
}

BIG_BENCH: dict[str, Any] = {
    "name": "what_follows",
    "task_prefix": "Say what follows.\n",
    "examples": [
        {"input": f"What follows {i}?", "target_scores": {str(i + 1): 1, str(i): 0, "none": 0}} for i in range(6)
    ],
}
