"""The lm-evaluation-harness on the checkpoints of a run, with a task in a folder: no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, read_evaluations
from phasescope.suites import Suite, open_suite
from phasescope.visits.importing.evaluating import Evaluated, Evaluation, evaluate_into
from phasescope.visits.recorded import suite_of

pytest.importorskip("lm_eval")
TASK = """
task: {name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {questions}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
doc_to_choice: "{{{{choices}}}}"
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
  - metric: brier_score
    aggregation: brier_score
    higher_is_better: false
"""
GROUP = """
group: both
task: [settles, weather]
aggregate_metric_list:
  - metric: acc
    weight_by_size: true
metadata:
  version: 1.0
"""


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks of 14 questions and a group of both."""
    folder = tmp_path_factory.mktemp("tasks")
    for number, name in enumerate(("settles", "weather")):
        rows = [
            {
                "question": f"Layer {row} of {name} says",
                "choices": ["a", "e", "s", "t"],  # of one length, so that what a model has learned decides
                "answer": (row * row + number) % 4,
            }
            for row in range(14)
        ]
        questions = folder / f"{name}.jsonl"
        questions.write_text("\n".join(map(json.dumps, rows)))
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, questions=questions))
    (folder / "both.yaml").write_text(GROUP)
    return folder


@pytest.fixture
def folder(pythia_run: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(pythia_run, tmp_path / "run")))


def suite_at(folder: RunFolder, steps: str) -> Suite:
    return suite_of(folder.read_manifest()).select(steps=steps)


def evaluated(folder: RunFolder, tasks: Path, steps: str, *names: str, **options: Any) -> Evaluated:
    return evaluate_into(folder, suite_at(folder, steps), Evaluation(names, include_path=tasks, **options))


def kept(folder: RunFolder, step: int) -> dict[str, float]:
    table = read_evaluations(folder)
    rows = table[table["step"] == step]
    found = {f"{row.task} {row.metric}": row.value for row in rows.itertuples()}
    return found | {f"{row.task} {row.metric}_stderr": row.stderr for row in rows.itertuples() if row.stderr >= 0}


def by_hand(folder: RunFolder, step: int, tasks: Path, name: str, **options: Any) -> dict[str, float]:
    """As a user of lm_eval calls it: which opens the model and the tasks itself."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    (checkpoint,) = suite_at(folder, str(step))
    results = simple_evaluate(
        "hf",
        model_args={"pretrained": checkpoint.location, "tokenizer": str(Path(checkpoint.location).parents[1])},
        tasks=[name],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        device="cpu",
        batch_size=8,
        log_samples=False,
        **options,
    )
    assert results is not None
    return {
        f"{task} {name.removesuffix(',none')}": value
        for task, found in results["results"].items()
        for name, value in found.items()
        if name.endswith(",none") and not isinstance(value, str)
    }


def test_numbers_are_those_of_lm_eval_called_by_hand(folder: RunFolder, tasks: Path) -> None:
    """Also of the second checkpoint: the tasks are opened once, and the examples in the prompt are drawn anew."""
    options: dict[str, Any] = {"num_fewshot": 1, "limit": 10}
    done = evaluated(folder, tasks, "0,143000", "both", **options)
    assert (done.evaluated, done.numbers) == (["160m/seed0/step0", "160m/seed0/step143000"], 14)
    for step in (0, 143_000):
        # Sums of float32 in other orders: a Brier score may differ in its last digits.
        assert kept(folder, step) == pytest.approx(by_hand(folder, step, tasks, "both", **options), rel=1e-5)
    apart = kept(folder, 0)["settles brier_score"] - kept(folder, 143_000)["settles brier_score"]
    assert abs(apart) > 1e-3  # else any model would do
    rows = read_evaluations(folder).set_index("task")
    assert set(rows.loc["settles", "shots"]) == {1}
    assert (set(rows["limit"]), set(rows["seed"]), set(rows["size"])) == ({10.0}, {0}, {"160m"})
    assert set(rows.loc["settles", "samples"]) == {10}
    assert rows["source"].str.startswith("lm_eval ").all()


def test_what_is_there_is_not_done_again(folder: RunFolder, tasks: Path) -> None:
    assert evaluated(folder, tasks, "0", "settles", limit=4).numbers == 3
    again = evaluated(folder, tasks, "0,8", "settles", limit=4)
    assert (again.already, again.evaluated) == (1, ["160m/seed0/step8"])
    # Another task of the group is missing; other examples and all documents are other numbers.
    assert evaluated(folder, tasks, "0", "settles", "both", limit=4).numbers == 7
    assert evaluated(folder, tasks, "0", "both", limit=4).already == 1
    assert evaluated(folder, tasks, "0", "settles", limit=4, num_fewshot=1).evaluated == ["160m/seed0/step0"]
    before = len(read_evaluations(folder))
    assert evaluated(folder, tasks, "0", "settles").evaluated == ["160m/seed0/step0"]
    table = read_evaluations(folder)
    assert len(table) == before  # all documents take the place of four of them
    assert set(table[(table["step"] == 0) & (table["task"] == "settles") & (table["shots"] == 0)]["samples"]) == {14}


def test_a_bad_checkpoint_is_passed_over(folder: RunFolder, tasks: Path, tmp_path: Path) -> None:
    suite = Path(shutil.copytree(folder.read_manifest()["source"], tmp_path / "suite"))
    weights = suite / "160m" / "step8" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    asked = Evaluation(("settles",), limit=2, include_path=tasks)
    done = evaluate_into(folder, open_suite(suite).select(steps="4,8,16"), asked)
    assert done.evaluated == ["160m/seed0/step4", "160m/seed0/step16"]
    assert [label for label, _ in done.failed] == ["160m/seed0/step8"]
    assert set(read_evaluations(folder)["step"]) == {4, 16}
    assert done.as_record()["failed"][0]["checkpoint"] == "160m/seed0/step8"


def test_only_checkpoints_of_the_run(folder: RunFolder, tasks: Path) -> None:
    for step in ("00000000", "00000001"):
        (folder.path / f"checkpoints/160m/seed0/step{step}.h5").unlink()
    assert evaluated(folder, tasks, "1,2", "settles", limit=2).evaluated == ["160m/seed0/step2"]
    with pytest.raises(PhasescopeError, match=r"No checkpoint of .* that was chosen is in the run"):
        evaluated(folder, tasks, "0,1", "settles", limit=2)


def test_tasks_that_cannot_be_run_are_named(folder: RunFolder, tasks: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"lm_eval knows no task 'setles'. The nearest .*: settles"):
        evaluated(folder, tasks, "0", "setles")
    with pytest.raises(PhasescopeError, match="There is no folder"):
        evaluated(folder, tasks / "none", "0", "settles")
    assert not folder.evaluations.exists()


@pytest.mark.slow  # the thousands of tasks that lm_eval knows are listed, too
def test_a_task_whose_questions_are_gone(folder: RunFolder, tasks: Path) -> None:
    (tasks / "gone.yaml").write_text(TASK.format(name="gone", questions=tasks / "gone.jsonl"))
    with pytest.raises(PhasescopeError, match=r"lm_eval could not open the tasks: FileNotFoundError"):
        evaluated(folder, tasks, "0", "gone")


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"tasks": ()}, "No task is named"),
        ({"limit": 0.0}, "--limit must be more than 0"),
        ({"limit": float("nan")}, "--limit must be more than 0"),
        ({"batch_size": 0}, "--batch-size must be at least 1"),
        ({"num_fewshot": -1}, "--num-fewshot must be at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PhasescopeError, match=sentence):
        Evaluation(**{"tasks": ("piqa",), **asked})


def test_models_that_were_captured_while_they_trained(folder: RunFolder) -> None:
    folder.write_manifest(folder.read_manifest() | {"source": "training"})
    with pytest.raises(PhasescopeError, match="recorded while its models trained"):
        suite_of(folder.read_manifest())


def test_without_the_extra_a_sentence_says_how_to_get_it(folder: RunFolder, tmp_path: Path) -> None:
    """In a Python that cannot import lm_eval: a package of that name which is not there."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "lm_eval.py").write_text("raise ModuleNotFoundError(\"No module named 'lm_eval'\")")
    done = subprocess.run(
        [sys.executable, "-m", "phasescope.cli", "evaluate", str(folder.path), "--tasks", "piqa", "--steps", "0"],
        env=os.environ | {"PYTHONPATH": f"{tmp_path / 'hidden'}{os.pathsep}{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Error: The lm-evaluation-harness is not installed")
    assert "pip install 'phasescope[evaluate]'" in done.stderr
