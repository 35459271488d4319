"""Multiple-choice tasks: what is read, which shots are drawn, how options become tokens, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import Framing, ItemEncoder, named_task, read_task, task_items
from phasescope.texts.items.question import Question, Task
from tests.conftest import make_tokenizer
from tests.texts.harness_tasks import BIG_BENCH, HARNESS_TASKS, documents, harness_config, write_lines


@pytest.fixture(scope="module")
def encoder() -> ItemEncoder:
    return ItemEncoder(make_tokenizer(), None)  # type: ignore[arg-type]


def prompts_of(task: Task, shots: int | None = None) -> list[list[tuple[str, str]]]:
    """(prompt with shots, continuation) of every option of every question."""
    prefixes = task.prefixes(task.shots if shots is None else shots)
    return [
        [(prefix + prompt, option) for prompt, option in zip(question.prompts, question.options, strict=True)]
        for question, prefix in zip(task.questions, prefixes, strict=True)
    ]


@pytest.mark.parametrize("name", HARNESS_TASKS)
def test_prompts_are_those_of_the_harness(name: str, tmp_path: Path) -> None:
    """Word for word: shots, delimiters, descriptions. Slow: the harness takes long to import."""
    task_module = pytest.importorskip("lm_eval.api.task")
    path, config = harness_config(tmp_path, **HARNESS_TASKS[name])
    theirs = task_module.ConfigurableTask(config=config)
    theirs.set_fewshot_seed(1234)
    shots = config.get("num_fewshot", 0)
    wanted = [
        [request.args for request in theirs.construct_requests(doc, theirs.fewshot_context(doc, shots))]
        for _, doc in theirs.doc_iterator()
    ]
    assert prompts_of(read_task(path)) == wanted


def test_a_configuration_and_its_documents(tmp_path: Path) -> None:
    path, _ = harness_config(tmp_path, num_fewshot=1, training_split="train")
    task = read_task(path)
    assert (task.name, task.shots, len(task.questions)) == ("task", 1, 10)
    first = task.questions[0]
    assert first.prompts == ("Q: Which one follows 0?\nA:",) * 3
    assert first.options == (" 1", " the red one, né", " -1 or less")
    assert first.choices == ("1", "the red one, né", "-1 or less")
    assert first.right == (0,)
    (shot, *_), *_ = prompts_of(task)
    assert shot[0].startswith("Q: Which one follows 10")  # of the training documents
    assert shot[0].endswith("\n\nQ: Which one follows 0?\nA:")


@pytest.mark.parametrize("name", ["texts of options", "options in the question", "shots from the test"])
def test_a_question_is_never_among_its_own_shots(name: str, tmp_path: Path) -> None:
    path, _ = harness_config(tmp_path, **HARNESS_TASKS[name])
    task = read_task(path)
    for shots in (1, 4):
        prefixes = task.prefixes(shots)
        assert all(question.shot not in prefix for question, prefix in zip(task.questions, prefixes, strict=True))
        assert prefixes == task.prefixes(shots)
        assert len(set(prefixes)) > 1
    with pytest.raises(PhasescopeError, match="10 shots cannot be drawn from the 10 questions"):
        task.prefixes(10)
    with pytest.raises(PhasescopeError, match="no 9 questions that differ"):  # one is there twice
        task.prefixes(9)


def test_documents_of_other_sources(tmp_path: Path) -> None:
    """A list in one JSON file; a file beside the configuration; a folder that `datasets` reads; an included base."""
    path, _ = harness_config(tmp_path)
    wanted = read_task(path).questions
    (tmp_path / "list.json").write_text(json.dumps(documents(9) + documents(1, 3)), encoding="utf-8")
    beside, _ = harness_config(tmp_path, "beside", dataset_kwargs={"data_files": {"test": "list.json"}})
    folder = tmp_path / "data"
    folder.mkdir()
    write_lines(folder / "test.jsonl", documents(9) + documents(1, 3))
    hub, _ = harness_config(tmp_path, "hub", dataset_path="data", dataset_kwargs=None)
    included = tmp_path / "included.yaml"
    included.write_text("include: task.yaml\ntask: other\n", encoding="utf-8")
    for other in (beside, hub, included):
        assert [question.options for question in read_task(other).questions] == [q.options for q in wanted]
        assert [question.right for question in read_task(other).questions] == [q.right for q in wanted]
    assert read_task(included).name == "other"


def test_big_bench(tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(BIG_BENCH), encoding="utf-8")
    task = read_task(path)
    first = task.questions[0]
    assert task.name == "what_follows"
    assert first.options == first.choices == ("1", "0", "none")
    assert first.right == (0,)
    lines = first.prompts[0].split("\n")
    assert lines[1] == "Q: What follows 0?"
    assert sorted(lines[2:5]) == ["  choice: 0", "  choice: 1", "  choice: none"]
    assert first.prompts[0].endswith("\nA: ")
    prefix = task.prefixes(2)[0]
    assert prefix.startswith("Say what follows.\n\nQ: What follows ")
    assert prefix.count("\nA: ") == 2
    places = {question.prompts[0].split("\n").index("  choice: none") for question in task.questions}
    assert len(places) > 1  # the right option is not always the first
    own = BIG_BENCH | {
        "append_choices_to_input": False, "example_input_prefix": "", "example_output_prefix": " =", "name": None,
        "examples": [{"input": "one", "target_scores": {"a": 0.5, "b": 0.5, "c": 0}}],
    }  # fmt: skip
    folder = tmp_path / "halves"
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps(own | {"name": ""}), encoding="utf-8")
    halves = read_task(folder / "task.json")
    assert halves.name == "halves"
    assert halves.questions[0].prompts[0] == "one ="
    assert halves.questions[0].right == (0, 1)


def sample(number: int, **changes: Any) -> dict[str, Any]:
    """A line of the harness's log."""
    pairs = [(f"Q: {number}\nA:", f" {option}") for option in ("yes", "no", "it depends")]
    arguments = {f"gen_args_{i}": {"arg_0": prompt, "arg_1": option} for i, (prompt, option) in enumerate(pairs)}
    return {"doc_id": number, "doc": {}, "arguments": arguments, "target": str(number % 3), "acc": 1.0} | changes


def test_logs_of_the_harness(tmp_path: Path) -> None:
    rows = [sample(0), sample(1), sample(1, filter="again"), sample(2, target="no"), sample(3, target="[0, 2]")]
    doubled = sample(4)["arguments"]
    doubled |= {f"gen_args_{i + 3}": {"arg_0": "", "arg_1": doubled[f"gen_args_{i}"]["arg_1"]} for i in range(3)}
    rows.append(sample(4, arguments=doubled))
    path = write_lines(tmp_path / "samples_arc_easy_2025-11-21T09-00-00.000.jsonl", rows)
    task = read_task(path)
    assert task.name == "arc_easy"
    assert [question.right for question in task.questions] == [(0,), (1,), (1,), (0, 2), (1,)]
    assert task.questions[4].choices == ("yes", "no", "it depends")
    assert task.questions[0].prompts[0] == "Q: 0\nA:"
    with pytest.raises(PhasescopeError, match="prompts as they were read, so no shots"):
        task.prefixes(1)


def test_options_become_tokens_as_in_the_harness(encoder: ItemEncoder) -> None:
    """Prompt and option are encoded together; blanks at the end of the prompt go to the option."""
    question = Question(
        "here", ("What is said?  ",) * 2, ("nothing", "everything else"), ("nothing", "everything else"), (1,)
    )
    items = task_items(Task("some task!", (question,), "here"), encoder, longest=512)
    assert items.name == "some_task_"
    tokenizer = make_tokenizer()
    for number, option in enumerate(question.options):
        before = tokenizer.encode("What is said?")  # type: ignore[attr-defined]
        whole = tokenizer.encode("What is said?  " + option)  # type: ignore[attr-defined]
        assert items.sequence(number).tolist() == [*before, *whole[len(before) :]]
        assert (items.first[number], items.last[number]) == (len(before), items.lengths[number])
    assert items.columns == {
        "question": [0, 0], "option": [0, 1], "right": [0, 1], "characters": [7, 15], "shots": [0, 0]
    }  # fmt: skip


def test_empty_and_long_prompts(encoder: ItemEncoder) -> None:
    options = (" a", " bc")
    bare = Task("bare", (Question("here", ("", ""), options, ("a", "bc"), (0,)),), "here")
    items = task_items(bare, encoder, longest=8)
    assert items.sequence(0)[0] == encoder.begin
    assert items.first.tolist() == [1, 1]
    long = Task("long", (Question("here", ("layer " * 40,) * 2, options, ("a", "bc"), (0,)),), "here")
    cut, whole = task_items(long, encoder, longest=8), task_items(long, encoder, longest=512)
    assert cut.lengths.max() == 8
    for number in range(2):
        np.testing.assert_array_equal(cut.sequence(number), whole.sequence(number)[-8:])
    np.testing.assert_array_equal(cut.scored, whole.scored)
    with pytest.raises(PhasescopeError, match="option 1 has 3 tokens, and these models can score 3 at once"):
        task_items(bare, encoder, longest=3)


def test_masked_models_read_their_frame(encoder: ItemEncoder) -> None:
    framed = ItemEncoder(make_tokenizer(), Framing(1, 2, 3))  # type: ignore[arg-type]
    question = Question("here", ("The model",) * 2, (" settles", " moves"), ("settles", "moves"), (1,))
    task = Task("framed", (question,), "here")
    plain, items = task_items(task, encoder, longest=64), task_items(task, framed, longest=64)
    for number in range(2):
        assert items.sequence(number).tolist() == [1, *plain.sequence(number), 2]
    np.testing.assert_array_equal(items.first, plain.first + 1)
    np.testing.assert_array_equal(items.last, plain.last + 1)


def test_files_are_named_with_their_shots() -> None:
    assert named_task("a/task.json") == (Path("a/task.json"), None)
    assert named_task("a/task.yaml:12") == (Path("a/task.yaml"), 12)
    assert named_task("C:/tasks/a.json") == (Path("C:/tasks/a.json"), None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"output_type": "generate_until"}, "output_type is 'generate_until'"),
        ({"doc_to_choice": None}, "no field 'doc_to_choice'"),
        ({"process_docs": "x"}, "'process_docs' is not done here"),
        ({"test_split": "dev"}, "no file for the split 'dev'. There are: test, train"),
        ({"test_split": None}, "no test_split or validation_split"),
        ({"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}}, "gone.jsonl cannot be read"),
        ({"dataset_kwargs": None}, "names no files"),
        ({"doc_to_text": "{{qestion}}"}, "test.jsonl line 1: the template 'doc_to_text' cannot be filled: 'qestion'"),
        ({"doc_to_text": "{{question.__class__.__mro__}}"}, "cannot be filled"),
        ({"doc_to_choice": "{{answer}}"}, "'doc_to_choice' gives 0, not a list"),
        ({"doc_to_choice": "{{['', 'a']}}"}, "test.jsonl line 1: option 0 is empty"),
        ({"doc_to_choice": ["only"]}, "line 1 has 1 option:"),
        ({"doc_to_target": "{{9}}"}, "'doc_to_target' is '9': neither the number nor the text"),
        ({"doc_to_target": "question"}, "neither the number nor the text"),
    ],
)
def test_what_is_wrong_with_a_configuration(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    path, _ = harness_config(tmp_path, **changes)
    with pytest.raises(PhasescopeError) as error:
        read_task(path)
    assert said in str(error.value)


def test_python_code_and_what_is_no_task(tmp_path: Path) -> None:
    code = tmp_path / "code.yaml"
    code.write_text("task: x\noutput_type: multiple_choice\ndoc_to_text: !function utils.text\n", encoding="utf-8")
    itself = tmp_path / "itself.yaml"
    itself.write_text("include: itself.yaml\n", encoding="utf-8")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1\n", encoding="utf-8")
    for path, said in [
        (code, "code.yaml line 3 needs Python code (!function"),
        (itself, "includes itself"),
        (broken, "broken.yaml is not YAML"),
        (tmp_path / "gone.yaml", "cannot be read"),
        (tmp_path / "gone.json", "cannot be read"),
        (tmp_path / "task.csv", "is no task with options"),
    ]:
        with pytest.raises(PhasescopeError) as error:
            read_task(path)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ([], "is a JSON list"),
        ({}, "'examples' must be a list"),
        ({"examples": [{"target_scores": {}}]}, "example 0 has no field 'input'"),
        ({"examples": [{"input": "a", "target": "b"}]}, "to be written freely: no options"),
        ({"examples": [{"input": "a", "target_scores": {"b": 1}}]}, "example 0 has 1 option:"),
        ({"examples": [{"input": "a", "target_scores": {"b": 0, "c": 0}}]}, "the right option is said to be none"),
        ({"examples": [{"input": "a", "target_scores": {"b": "1", "c": 0}}]}, "a score that is not a number"),
        ({"examples": [{"input": 3, "target_scores": {}}]}, "'input' is not a str"),
        ({"examples": ["a"]}, "example 0 is not an object"),
        (BIG_BENCH | {"choice_prefix": 3}, "'choice_prefix' is 3, not a str"),
    ],
)
def test_what_is_wrong_with_a_big_bench_task(task: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "task.json"
    path.write_text(json.dumps(task), encoding="utf-8")
    with pytest.raises(PhasescopeError) as error:
        read_task(path)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"doc_id": 0, "target": "0"}, "line 1 has no field 'arguments'"),
        (sample(0, arguments={"gen_args_0": {"arg_0": "only a prompt"}}), "no pairs of prompt and option"),
        (sample(0, arguments=[["a", " x"], ["b", " x"]]), "the options stand within the prompts"),
        (sample(0, target="3"), "neither the number nor the text of one of 3 options"),
        (sample(0, target="[0"), "no list of numbers"),
        (sample(0, target=None), "neither a number nor the text"),
        (sample(0, arguments=[["a", " 1"], ["a", " 0"]], target="1"), "the number of another option"),
    ],
)
def test_what_is_wrong_with_a_log(row: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "samples_x.jsonl", [row])
    with pytest.raises(PhasescopeError) as error:
        read_task(path)
    assert said in str(error.value)
    (tmp_path / "samples_y.jsonl").write_text("\n{\n", encoding="utf-8")
    with pytest.raises(PhasescopeError, match="line 2 is not JSON"):
        read_task(tmp_path / "samples_y.jsonl")
