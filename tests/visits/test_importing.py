"""Results of the lm-evaluation-harness and tables, matched with the checkpoints of a run."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, read_evaluations
from phasescope.visits.importing.importing import Imported, import_into
from tests.conftest import PYTHIA_STEPS, shared

CURRENT = {
    "results": {
        "piqa": {
            "alias": "piqa",
            "sample_len": 1838,
            "acc,none": 0.6,
            "acc_stderr,none": 0.011,
            "exact_match,strict-match": 0.25,
            "exact_match_stderr,strict-match": "N/A",
        }
    },
    "n-shot": {"piqa": 5},
    "n-samples": {"piqa": {"original": 1838, "effective": 100}},
    "higher_is_better": {"piqa": {"acc": True, "exact_match": True}},
    "versions": {"piqa": 1.0},
    "config": {
        "model": "hf",
        "model_args": {"pretrained": "EleutherAI/pythia-160m", "revision": "step512"},
        "limit": 100.0,
    },
}


@pytest.fixture
def folder(pythia_run: Path, tmp_path: Path) -> RunFolder:
    """A copy, without what other tests put beside it."""
    return RunFolder(Path(shutil.copytree(pythia_run, tmp_path / "run")))


def written(folder: Path, results: Any, name: str = "results_2025-01-01T10-00-00.json") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results), encoding="utf-8")
    return path


def changed(**changes: Any) -> dict[str, Any]:
    return {**CURRENT, "config": {"model_args": {}}, **changes}


def test_the_real_results_of_pythia(folder: RunFolder) -> None:
    """Every number of the 27 files, against the files themselves."""
    results = shared("lm_eval", "pythia-160m-zero-shot")
    files = sorted(results.glob("*.json"))
    done = import_into(folder, files)
    assert (done.checkpoints, len(done.files), done.skipped, done.models) == (27, 27, [], [])
    assert len(done.notes) == 1  # the folder of the suite does not say which model it is
    assert "name the model pythia, and the suite of this run does not say which it is" in done.notes[0]
    table = read_evaluations(folder)
    assert sorted(set(table["step"])) == sorted(PYTHIA_STEPS)
    assert set(zip(table["size"], table["seed"], table["shots"], strict=True)) == {("160m", 0, 0)}
    kept = {(row.step, row.task, row.metric): (row.value, row.stderr) for row in table.itertuples()}
    assert len(kept) == len(table) == done.numbers
    for file in files:
        step = int(file.stem.partition("_step")[2])
        for task, found in json.loads(file.read_text())["results"].items():
            for metric in (name for name in found if not name.endswith("_stderr")):
                assert kept.pop((step, task, metric)) == (found[metric], found[f"{metric}_stderr"])
    assert not kept
    again = import_into(folder, [results])
    assert (again.numbers, again.replaced, len(read_evaluations(folder))) == (done.numbers, done.numbers, len(table))


def test_the_current_format(folder: RunFolder, tmp_path: Path) -> None:
    import_into(folder, [written(tmp_path, CURRENT)])
    rows = read_evaluations(folder).set_index("metric")
    assert list(rows.index) == ["acc", "exact_match,strict-match"]
    acc = rows.loc["acc"]
    assert (acc["size"], acc["seed"], acc["step"], acc["shots"]) == ("160m", 0, 512, 5)
    assert (acc["value"], acc["stderr"], acc["samples"], acc["limit"]) == (0.6, 0.011, 100, 100)
    assert bool(acc["higher_is_better"])
    assert math.isnan(rows["stderr"].iloc[1])
    assert rows["source"].iloc[0].endswith("results_2025-01-01T10-00-00.json")
    assert len(rows["digest"].iloc[0]) == 32


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"model_args": "pretrained=EleutherAI/pythia-160m,revision=step512,dtype=float16"}, "a.json"),
        ({"model_args": "pretrained=/suites/160m/step512"}, "a.json"),
        ({}, "160m_step512.json"),
        ({"model_args": {"pretrained": "EleutherAI/pythia-160m"}, "model_revision": "main"}, "step512/results.json"),
    ],
)
def test_where_the_step_is_told(folder: RunFolder, tmp_path: Path, config: dict[str, Any], name: str) -> None:
    import_into(folder, [written(tmp_path / "given", {**CURRENT, "config": config}, name)])
    assert set(read_evaluations(folder)["step"]) == {512}


def test_what_the_run_does_not_have_is_listed_and_skipped(folder: RunFolder, tmp_path: Path) -> None:
    files = [
        written(tmp_path, changed(), "160m_step512.json"),
        written(tmp_path, changed(), "160m_step513.json"),
        written(tmp_path, changed(), "410m_step512.json"),
        written(tmp_path, changed(), "160m-seed7_step512.json"),
        written(tmp_path, changed(), "160m.json"),
    ]
    done = import_into(folder, files)
    assert (done.numbers, done.checkpoints) == (2, 1)
    assert [(str(one.told), one.reason, one.numbers) for one in done.skipped] == [
        ("160m, step 513", "no such step in the run", 2),
        ("410m, step 512", "no such size in the run", 2),
        ("160m, seed 7, step 512", "no such seed in the run", 2),
        ("160m", "its step is not told: give --step or --step-pattern", 2),
    ]
    assert set(read_evaluations(folder)["source"]) == {str(files[0])}
    with pytest.raises(PhasescopeError, match=r"Nothing fits .* has 160m at 27 steps from 0 to 143000.*no such size"):
        import_into(folder, [files[2]])
    assert len(read_evaluations(folder)) == 2


def test_options_say_which_model_it_is(folder: RunFolder, tmp_path: Path) -> None:
    file = written(tmp_path, changed(), "410m-seed9-iteration_0512.json")
    import_into(folder, [file], size="160m", seed=0, step_pattern=r"iteration_(?P<step>\d+)")
    assert set(read_evaluations(folder)["step"]) == {512}


def test_several_sizes_and_seeds(captured: Path, tmp_path: Path) -> None:
    """A run of two sizes with two seeds: whatever does not say which one is not guessed."""
    folder = RunFolder(Path(shutil.copytree(captured, tmp_path / "run")))
    files = [written(tmp_path, changed(), f"{name}.json") for name in ("tiny-seed2_step4", "small_step4", "step4")]
    done = import_into(folder, files)
    assert [one.reason for one in done.skipped] == [
        "its seed is not told, and the run has several: give --seed",
        "its size is not told: give --size",
    ]
    kept = read_evaluations(folder)
    assert set(zip(kept["size"], kept["seed"], kept["step"], strict=True)) == {("tiny", 2, 4)}


def test_a_name_that_contradicts_the_contents_is_not_believed(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"is named as step 8, and its contents say step 512"):
        import_into(folder, [written(tmp_path, CURRENT, "160m_step8.json")])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[1, 2]", "holds no results of the lm-evaluation-harness"),
        ('{"results": {"piqa": 0.5}}', "holds no results of the lm-evaluation-harness"),
        ('{"scores": {}}', 'numbers by task under "results"'),
    ],
)
def test_files_that_are_no_results(folder: RunFolder, tmp_path: Path, text: str, sentence: str) -> None:
    bad = tmp_path / "160m_step4.json"
    bad.write_text(text)
    with pytest.raises(PhasescopeError, match=sentence):
        import_into(folder, [bad])
    done = import_into(folder, [bad, written(tmp_path, CURRENT)])
    assert done.numbers == 2
    assert [(file, sentence in reason) for file, reason in done.unread] == [(str(bad), True)]


def test_absent_files_and_empty_folders(folder: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"absent.json cannot be read: No such file"):
        import_into(folder, [tmp_path / "absent.json"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(PhasescopeError, match=r"has no \.json files in it"):
        import_into(folder, [tmp_path / "empty"])


def test_numbers_that_are_none_and_curves_with_gaps_are_named(folder: RunFolder, tmp_path: Path) -> None:
    results = {"piqa": {"acc": 0.5, "ppl": math.nan}, "sciq": {"acc": None}}
    files = [
        written(tmp_path, {"results": results, "config": {}}, "160m_step8.json"),
        written(tmp_path, {"results": {"piqa": {"acc": 0.5, "ppl": 9.0}}, "config": {}}, "160m_step16.json"),
    ]
    done = import_into(folder, files)
    assert done.notes == [
        "160m_step8.json: 2 of 3 values are no numbers and were left out (first: ppl of piqa).",
        "1 of 2 curves lack steps that others have (first: ppl of piqa, 160m/seed0, at 8).",
    ]
    assert done.numbers == 3


def test_two_files_that_disagree_and_values_that_change_are_named(folder: RunFolder, tmp_path: Path) -> None:
    def results(value: float) -> dict[str, Any]:
        return {"results": {"piqa": {"acc": value}}, "config": {}}

    first, second = (written(tmp_path, results(v), f"160m_step8_{v}.json") for v in (0.25, 0.5))
    done = import_into(folder, [first, second])
    assert "0.25 in 160m_step8_0.25.json, 0.5 in 160m_step8_0.5.json" in done.notes[0]
    assert read_evaluations(folder)["value"].tolist() == [0.5]
    done = import_into(folder, [first])
    assert "0.5 before, 0.25 now" in done.notes[0]
    assert read_evaluations(folder)["value"].tolist() == [0.25]


def test_a_table_beside_the_run(folder: RunFolder, tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    pd.DataFrame({"step": [0, 8, 9], "loss": [9.0, 8.0, 7.0]}).to_csv(path, index=False)
    done: Imported = import_into(folder, [path])
    assert (done.numbers, [one.told.step for one in done.skipped]) == (2, [9])
    # Read again with another name of its metric: nothing of the first time is left.
    import_into(folder, [path], columns={"value": ["loss"], "metric": ["loss"]})
    assert len(read_evaluations(folder)) == 2
    assert done.as_record()["skipped"][0]["reason"] == "no such step in the run"


def of_model(name: str, value: float = 0.5, step: int = 512) -> dict[str, Any]:
    arguments = f"pretrained={name},revision=step{step}"
    return {"results": {"piqa": {"acc": value}}, "config": {"model_args": arguments}}


def captured_from(folder: RunFolder, source: str) -> None:
    folder.write_manifest(folder.read_manifest() | {"source": source})


def kept(folder: RunFolder) -> dict[tuple[str, int], float]:
    return {(row.model, row.step): row.value for row in read_evaluations(folder).itertuples()}


OTHERS = ("pythia-v1.1-160m-deduped", "pythia-160m-1MtokBS", "intervention-pythia-v1.1-160m-deduped-long")


def test_results_of_other_models_are_not_the_runs(folder: RunFolder, tmp_path: Path) -> None:
    """Of a run whose suite says which model it is: importing the others alone is refused and names them."""
    captured_from(folder, "EleutherAI/pythia-160m")
    own = written(tmp_path, of_model("EleutherAI/pythia-v1.1-160m", 0.1), "a.json")
    others = [written(tmp_path, of_model(f"EleutherAI/{name}", 0.9), f"{name}.json") for name in OTHERS]
    with pytest.raises(
        PhasescopeError, match=r"pythia-deduped: another model than the run's, pythia: --model pythia-d"
    ):
        import_into(folder, others)
    assert read_evaluations(folder).empty
    done = import_into(folder, [own, *others])
    assert (done.numbers, kept(folder)) == (1, {("", 512): 0.1})
    assert [one.told.model for one in done.skipped] == [
        "pythia-deduped", "pythia-1mtokbs", "intervention-pythia-deduped-long"
    ]  # fmt: skip
    done = import_into(folder, others, model=["EleutherAI/pythia-160m-deduped", "pythia-1mtokbs"])
    assert done.models == ["pythia-deduped", "pythia-1mtokbs"]
    assert kept(folder) == {("", 512): 0.1, ("pythia-deduped", 512): 0.9, ("pythia-1mtokbs", 512): 0.9}
    with pytest.raises(PhasescopeError, match=r"No results here name the model 'pythia-dedupd'. Did you mean pythia-d"):
        import_into(folder, others, model="pythia-dedupd")


def test_of_several_models_and_a_folder_that_tells_none_it_is_asked(folder: RunFolder, tmp_path: Path) -> None:
    names = ("EleutherAI/pythia-160m", *(f"EleutherAI/{name}" for name in OTHERS[:1]))
    files = [written(tmp_path, of_model(name, n / 4), f"{n}.json") for n, name in enumerate(names, start=1)]
    with pytest.raises(PhasescopeError, match=r"of several models .*: pythia \(1\), pythia-deduped .*--model pythia;"):
        import_into(folder, files)
    assert read_evaluations(folder).empty
    assert import_into(folder, files, model="pythia-deduped").models == []  # the answer to the question
    assert kept(folder) == {("", 512): 0.5}
    # From now on the run's model is known.
    done = import_into(folder, files)
    assert [one.told.model for one in done.skipped] == ["pythia"]
    import_into(folder, files, model="pythia")
    assert kept(folder) == {("", 512): 0.5, ("pythia", 512): 0.25}


@pytest.mark.parametrize("named", ["EleutherAI/pythia-160m", "/somewhere/checkpoints"])
def test_an_adapters_results_never_take_the_place_of_the_checkpoints(
    folder: RunFolder, tmp_path: Path, named: str
) -> None:
    captured_from(folder, "EleutherAI/pythia-160m")
    own = written(tmp_path, of_model(named, 0.25), "160m_step512.json")
    adapted = of_model(named, 0.75) | {"config": {"model_args": f"pretrained={named},revision=step512,peft=lora/x"}}
    file = written(tmp_path / "peft", adapted, "160m_step512.json")
    done = import_into(folder, [own, file])
    assert kept(folder) == {("", 512): 0.25}
    assert [one.told.model.rpartition("+")[2] for one in done.skipped] == ["peft=lora/x"]
    name = done.skipped[0].reason.partition("--model ")[2].partition(" ")[0]
    import_into(folder, [file], model=name)
    assert sorted(kept(folder).values()) == [0.25, 0.75]
    assert kept(folder)["", 512] == 0.25


def test_a_table_of_several_models(folder: RunFolder, tmp_path: Path) -> None:
    captured_from(folder, "pythia")
    path = tmp_path / "all.csv"
    path.write_text(
        "model,step,task,acc\npythia-160m,512,piqa,0.1\npythia-160m-deduped,512,piqa,0.9\n160m,8,piqa,0.2\n"
    )
    import_into(folder, [path])
    assert kept(folder) == {("", 512): 0.1, ("", 8): 0.2}
    import_into(folder, [path], model="pythia-deduped")
    assert kept(folder) == {("", 512): 0.1, ("", 8): 0.2, ("pythia-deduped", 512): 0.9}


def test_what_is_shown_of_another_model_is_named(folder: RunFolder, tmp_path: Path) -> None:
    import phasescope as ps
    from phasescope.reports.evaluations.section import labelled

    captured_from(folder, "pythia")
    import_into(folder, [written(tmp_path, of_model("pythia-160m", 0.1), "a.json")])
    import_into(folder, [written(tmp_path, of_model("pythia-160m-deduped", 0.9), "b.json")], model="pythia-deduped")
    table = labelled(ps.open_run(folder.path).evaluations())
    assert dict(zip(table["label"], table["value"], strict=True)) == {"piqa": 0.1, "piqa (pythia-deduped)": 0.9}


def test_results_by_task_and_date(folder: RunFolder, tmp_path: Path) -> None:
    """As bigscience put the results of its harness together: bslmeval.json."""
    results = {
        "arc_easy": {"2022-07-13-09-55-04": {"acc": 0.5, "acc_stderr": 0.01, "acc_norm": 0.4}},
        "axb+GPT-3 style": {"2022-07-12-23-19-06": {"acc": 0.45, "prompt_name": "GPT-3 style", "task_name": "axb"}},
        "twice": {"2022-07-13-01-00-00": {"acc": 0.9}, "2022-07-12-01-00-00": {"acc": 0.1}},
        "odd": "n/a",
    }
    done = import_into(folder, [written(tmp_path, {"results": results}, "bslmeval.json")], step=512)
    rows = read_evaluations(folder).set_index(["task", "metric"])["value"].to_dict()
    assert rows == {
        ("arc_easy", "acc"): 0.5, ("arc_easy", "acc_norm"): 0.4, ("axb+GPT-3 style", "acc"): 0.45, ("twice", "acc"): 0.9
    }  # fmt: skip
    assert read_evaluations(folder)["stderr"].notna().sum() == 1
    assert "1 values are told differently" in done.notes[0]  # the later date is kept


def test_results_in_a_list_with_prompts_and_the_step_as_an_iteration(folder: RunFolder, tmp_path: Path) -> None:
    """As bigscience's harness writes them, run by GPT-NeoX: evals/bias-evals/winobias in EleutherAI/pythia."""
    about = {"fixed_answer_choice_list": None, "prompt_original_task": True, "dataset_path": "wino_bias"}
    results = [
        {"task_name": "wino", "prompt_name": "refers_to", "em": 0.25, "em_stderr": 0.01, **about},
        {"task_name": "flores", "prompt_name": None, "word_perplexity": 7.0},
        {"task_name": "flores", "prompt_name": None, "bits_per_byte": 2.0},
    ]
    config = {"model": "neox", "model_args": {"iteration": 512, "save": "/ckpts/160m"}}
    import_into(folder, [written(tmp_path / "160M", {"results": results, "config": config}, "eval_results.json")])
    table = read_evaluations(folder).set_index(["task", "metric"])
    assert table["value"].to_dict() == {
        ("wino+refers_to", "em"): 0.25, ("flores", "word_perplexity"): 7.0, ("flores", "bits_per_byte"): 2.0
    }  # fmt: skip
    assert set(table["step"]) == {512}
    assert table.loc[("wino+refers_to", "em"), "stderr"] == 0.01


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="is not a run"):
        import_into(RunFolder(tmp_path), [tmp_path])
