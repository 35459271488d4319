"""Results files of the lm-evaluation-harness, of its first versions and of those since 0.4."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.visits.importing.checkpoint_names import CheckpointNames, Told
from phasescope.visits.importing.model_names import changes_in

if TYPE_CHECKING:
    from pandas import DataFrame

_HIGHER = dict.fromkeys(("acc", "acc_norm", "acc_norm_bytes", "exact_match", "em", "f1", "mcc", "bleu", "chrf"), True)
_LOWER = ("ppl", "perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "ter", "brier_score")
# The harness counts stereotypes: https://github.com/EleutherAI/lm-evaluation-harness, task crows_pairs.
HIGHER_IS_BETTER = _HIGHER | dict.fromkeys(
    (*_LOWER, "pct_stereotype", "likelihood_difference", "likelihood_diff"), False
)
"""Of metrics in files that do not say it: the first versions' did not."""


def read_harness(path: Path, names: CheckpointNames) -> DataFrame:
    """The numbers in one results file: columns size, seed, step, named (as told), task, metric, shots, value, ….

    Which checkpoint it is, and of which model, `pretrained` and `revision` tell, or the file's name, or the folders
    that it is in. Arguments that make another model of it (`peft`, …) are part of the model's name.

    Raises `PhasescopeError` for a file that is no JSON, or no harness results, or whose name and contents disagree.
    """
    results = _parsed(path)
    told = _told(path, results, names)
    return harness_table(results).assign(size=told.size, seed=told.seed, step=told.step, named=told.model)


def harness_table(results: dict[str, Any]) -> DataFrame:
    """The numbers of results as lm_eval gives or writes them; one row per task and metric.

    A metric's filter is named where it has one: `exact_match,strict-match`.
    """
    import pandas as pd

    return pd.DataFrame(list(_rows(results)))


def _rows(results: dict[str, Any]) -> Iterator[dict[str, Any]]:
    config = _dict(results.get("config"))
    for task, found in _measured(results["results"]):
        better = _dict(_dict(results.get("higher_is_better")).get(task))
        samples = _dict(_dict(results.get("n-samples")).get(task)).get("effective")
        shots = _dict(results.get("n-shot")).get(task, config.get("num_fewshot"))
        filtered = any("," in name for name in found)
        for name, value in found.items():
            metric, _, kind = name.partition(",")
            # Since 0.4 whatever has no filter is about the task (its alias, how many items), not measured.
            if metric.endswith("_stderr") or not _is_measure(value) or (filtered and not kind):
                continue
            yield {
                "task": task,
                "metric": metric if kind in ("", "none") else name,
                "shots": shots if isinstance(shots, int) else None,
                "value": _number(value),
                "stderr": _number(found.get(f"{metric}_stderr,{kind}" if kind else f"{metric}_stderr")),
                "higher_is_better": better.get(metric, HIGHER_IS_BETTER.get(metric)),
                "samples": samples,
                "limit": _number(config.get("limit")),
            }


def _measured(results: dict[str, Any] | list[Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each task with its numbers, in the three forms that there are; a task that is none of them is passed over.

    By task; by task and date, as bigscience put its files together (the latest last); and as a list of dictionaries
    with `task_name` and `prompt_name`, as its harness writes them, named as it names them in the other form.
    """
    if isinstance(results, list):
        for one in map(_dict, results):
            if isinstance(task := one.get("task_name"), str):
                prompt = one.get("prompt_name")
                # What is null here describes a prompt; a measure is always a number.
                yield f"{task}+{prompt}" if prompt else task, {k: v for k, v in one.items() if v is not None}
        return
    for task, found in results.items():
        dated = _dict(found)
        if dated and all(isinstance(inner, dict) for inner in dated.values()):
            yield from ((task, dated[date]) for date in sorted(dated))
        elif dated:
            yield task, dated


def _is_measure(value: Any) -> bool:
    """A number, or one that is missing; not a word, a list, or whether something is so."""
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _told(path: Path, results: dict[str, Any], names: CheckpointNames) -> Told:
    contents = names.read(*_described(results))
    name = names.read(path.name)
    for what in ("size", "step"):
        inside, outside = getattr(contents, what), getattr(name, what)
        if None not in (inside, outside) and inside != outside:
            raise PhasescopeError(
                f"{path} is named as {what} {outside}, and its contents say {what} {inside}. Rename it, or give "
                f"--{'size' if what == 'size' else 'step-pattern'}."
            )
    parents = [folder.name for folder in list(path.parents)[:3]]
    said = (contents, name, names.read(*parents))
    size, seed, step = (_known(getattr(told, what) for told in said) for what in ("size", "seed", "step"))
    return Told(size, seed, _iteration(results) if step is None else step, _model(path, parents, results, names))


def _model(path: Path, parents: list[str], results: dict[str, Any], names: CheckpointNames) -> str:
    """What is told of the model beside its size; of a file's name without the tasks that it may name."""
    arguments = _arguments(results)
    tasks = {word for task, _ in _measured(results["results"]) for word in re.split(r"[^a-z0-9.]+", task.lower())}
    own = [word for word in names.model(path.name).split("-") if word not in tasks]
    changed = changes_in(arguments)
    told = names.model(*_named_models(results, arguments)) or "-".join(own) or names.model(*parents)
    return told + changed


def _named_models(results: dict[str, Any], arguments: dict[str, Any]) -> list[str]:
    said = (arguments.get("pretrained"), results.get("model_name"), arguments.get("model"))
    return [text for text in said if isinstance(text, str)]


def _iteration(results: dict[str, Any]) -> int | None:
    """The step as GPT-NeoX's own evaluation writes it."""
    step = _arguments(results).get("iteration")
    return step if isinstance(step, int) and not isinstance(step, bool) else None


def _arguments(results: dict[str, Any]) -> dict[str, Any]:
    """What the harness was told of the model."""
    arguments = _dict(results.get("config")).get("model_args")
    if isinstance(arguments, str):
        return dict(part.partition("=")[::2] for part in arguments.split(","))
    return _dict(arguments)


def _described(results: dict[str, Any]) -> list[str]:
    """What the file says of the model, the likeliest to tell a step first."""
    given = _arguments(results)
    said = [given.get("revision"), given.get("subfolder"), given.get("pretrained")]
    said += [_dict(results.get("config")).get("model_revision"), results.get("model_name"), given.get("model")]
    return [text for text in said if isinstance(text, str)]


def _parsed(path: Path) -> dict[str, Any]:
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PhasescopeError(f"{path} cannot be read: {error.strerror}.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise PhasescopeError(f"{path} is not JSON ({error}).") from error
    found = results.get("results") if isinstance(results, dict) else None
    if not isinstance(found, dict | list) or not list(_measured(found)):
        raise PhasescopeError(
            f'{path} holds no results of the lm-evaluation-harness: these have numbers by task under "results".'
        )
    return dict(results)


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float:
    """What is no number, such as N/A for a metric without a standard error, is missing."""
    return float(value) if isinstance(value, int | float) else math.nan


def _known(values: Iterator[Any]) -> Any:
    return next((value for value in values if value is not None), None)
