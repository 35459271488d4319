"""Repositories whose names vary, steps that only the hub knows, and what the listing says about disk."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import torch

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.suites import PRESETS, open_suite
from phasescope.suites.hub import LookUp
from phasescope.suites.preset import Preset
from phasescope.suites.presets import bytes_of_one
from tests.suites.conftest import tiny_model
from tests.suites.hub_server import Fault, HubServer, Repository


@pytest.fixture
def many(hub: HubServer, saved_model: Path) -> HubServer:
    """Five repositories of one owner, on three pages of the list, and one of another owner."""
    for name in ("neox-14m-seed1", "neox-14m-seed2", "neox-31m-seed1", "neox-14m-data-seed1", "neox-14m-seed3x"):
        hub.repositories[f"many/{name}"] = Repository({"main": saved_model, "step0": saved_model, "step8": saved_model})
    hub.repositories["tiny/neox-14m-seed4"] = hub.repositories["many/neox-14m-seed1"]
    return hub


def test_repositories_of_other_sizes_are_not_asked(many: HubServer) -> None:
    suite = open_suite("many/neox-{size}-seed{seed}", sizes="31m")
    assert suite.sizes == ("31m",)
    assert not any("neox-14m" in one for one in many.requests)
    assert open_suite("many/neox-{size}-seed{seed}", sizes=["1b"]).sizes == ("14m", "31m")  # `select` says so
    # Of the preset one repository is there.
    many.repositories["swiss-ai/Apertus-8B-2509"] = Repository({}, listed={"step50000-tokens210B": {}})
    assert [one.label for one in open_suite("apertus", sizes=["8b"])] == ["8b/seed0/step50000"]
    with pytest.raises(PhasescopeError, match="Apertus-70B-2509"):
        open_suite("apertus")


@pytest.mark.parametrize("pattern", ["", r"@^step(?P<step>\d+)$"])
def test_size_and_seed_in_the_names_of_repositories(many: HubServer, pattern: str) -> None:
    suite = open_suite("many/neox-{size}-seed{seed}" + pattern)
    assert [(one.label, one.place) for one in suite if one.step == 8] == [
        ("14m/seed1/step8", "many/neox-14m-seed1@step8"),
        ("14m/seed2/step8", "many/neox-14m-seed2@step8"),
        ("31m/seed1/step8", "many/neox-31m-seed1@step8"),
    ]
    assert (suite.family, len(suite)) == ("neox", 6)


def test_a_repository_of_the_template_without_such_revisions_is_passed_over(many: HubServer, saved_model: Path) -> None:
    many.repositories["many/neox-14m-seed2"] = Repository({"main": saved_model})
    assert open_suite("many/neox-14m-seed{seed}").seeds() == (1,)
    with pytest.raises(PhasescopeError, match=r"No revision of the 2 repositories that many/neox-14m-seed\{seed\} st"):
        open_suite(r"many/neox-14m-seed{seed}@ckpt(?P<step>\d+)")


def test_each_checkpoint_may_have_a_repository(hub: HubServer, saved_model: Path) -> None:
    for thousands in (0, 20, 2000):
        hub.repositories[f"many/bert-seed_1-step_{thousands}k"] = Repository({"main": saved_model})
    suite = open_suite("many/bert-seed_{seed}-step_{thousands}k")
    assert suite.steps() == (0, 20_000, 2_000_000)
    assert suite.checkpoints[1].place == "many/bert-seed_1-step_20k@main"
    with pytest.raises(PhasescopeError, match=r"tells the step; leave out the pattern"):
        open_suite(r"many/bert-seed_{seed}-step_{thousands}k@step(?P<step>\d+)")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("many/gpt-{size}", r"no repository of many whose name reads gpt-\{size\}\. Check the spelling"),
        (
            "many/neox-{size}m",
            r"whose name reads neox-\{size\}m\. There are: many/neox-14m-data-seed1, many/neox-14m-s",
        ),
        ("nobody/neox-{size}", r"no repository of nobody whose name reads"),
        ("many/neox-{width}", r"what varies in a name is written \{size\}, \{seed\}, \{step\}, \{thousands\}"),
        ("many/neox-{size", r"is not the name of a repository: what varies"),
        ("{size}/neox", r"the owner does not vary"),
    ],
)
def test_a_template_that_fits_nothing_says_what_there_is(many: HubServer, spec: str, message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        open_suite(spec)


def test_a_busy_hub_is_asked_again_for_the_revisions(hub: HubServer) -> None:
    hub.faults.append(Fault("/refs", 503, times=2))
    assert len(open_suite("tiny/neox-14m")) == 3
    assert sum("/refs" in line for line in hub.requests) == 3


def test_steps_are_looked_up_among_branches(hub: HubServer, saved_model: Path) -> None:
    names = ("main", "stage1-step1000-tokens5B", "stage1-step2000-tokens9B", "stage2-ingredient1-step1000-tokens5B",
             "step150-tokens1B", "stage2-ingredient2-step1000-tokens5B", "stage1-step1000-tokens5B-again")  # fmt: skip
    hub.repositories["ai/Model-1B"] = Repository(dict.fromkeys(names, saved_model))
    preset = Preset("x", "", "ai/{name}", ("1b",), revision=PRESETS["olmo2"].revision, names={"1b": ("Model-1B",)})
    suite = preset.suite()
    trunk = [(150, "step150-tokens1B"), (1000, "stage1-step1000-tokens5B"), (2000, "stage1-step2000-tokens9B")]
    for seed in (1, 2):
        end = (3000, f"stage2-ingredient{seed}-step1000-tokens5B")
        assert [(one.step, one.revision) for one in suite if one.seed == seed] == [*trunk, end]
    assert (suite.sizes, suite.seeds()) == (("1b",), (1, 2))
    assert suite.left_out_note == "1 of 6 revisions of x is not matched: ai/Model-1B@stage1-step1000-tokens5B-again."


@pytest.mark.parametrize(
    ("name", "repositories", "revisions", "labels"),
    [
        (
            "datadecide",
            ["allenai/DataDecide-c4-4M", "allenai/DataDecide-dolma1_7-no-code-1B"],
            ["step0-seed-default", "step1250-seed-small-aux-2"],
            ["4M-c4/seed0/step0", "4M-c4/seed2/step1250", "1B-dolma1_7-no-code/seed0/step0",
             "1B-dolma1_7-no-code/seed2/step1250"],
        ),
        (
            "fineweb-ablations",
            ["HuggingFaceFW/ablation-model-fineweb-edu"],
            ["step-001000-2BT", "step-167000-350BT"],
            ["fineweb-ablations-fineweb-edu/seed0/step1000", "fineweb-ablations-fineweb-edu/seed0/step167000"],
        ),
        (
            "babylm",
            ["BabyLM-community/babylm-baseline-100m-gpt2"],
            ["chck_1M", "chck_10M"],
            ["babylm-100m-gpt2/seed0/step1000000", "babylm-100m-gpt2/seed0/step10000000"],
        ),
    ],
)  # fmt: skip
def test_suites_with_a_repository_for_each_recipe(
    hub: HubServer, saved_model: Path, name: str, repositories: list[str], revisions: list[str], labels: list[str]
) -> None:
    for repository in repositories:
        hub.repositories[repository] = Repository(dict.fromkeys(["main", *revisions], saved_model))
    assert [one.label for one in open_suite(name)] == labels


def test_two_repositories_of_a_preset(hub: HubServer, saved_model: Path) -> None:
    for repository, steps in (("ai/late", (2, 3)), ("ai/early", (1, 2))):
        hub.repositories[repository] = Repository({f"step{step}": saved_model for step in steps})
    suite = Preset("x", "", "ai/{name}", ("1b",), revision=LookUp(), names={"1b": ("late+early",)}).suite()
    assert [one.place for one in suite] == ["ai/early@step1", "ai/late@step2", "ai/late@step3"]


def test_steps_are_looked_up_among_commits(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    from phasescope.suites.load import commit_of, load_config

    titles = [
        "Update README.md",
        "Saving HF Model -- Step 1000",
        "Saving Fabric Checkpoint -- Step 1000",
        "Saving HF Model -- Step 0",
        "Saving HF Model -- Step 0",
    ]
    repository = Repository({"main": saved_model}, titles=dict.fromkeys(titles, saved_model))
    hub.repositories["ai/decoder-tiny"] = repository
    preset = Preset("x", "", "ai/decoder-{size}", ("tiny",), revision=PRESETS["pico"].revision)
    suite = preset.suite()
    assert suite.steps() == (0, 1000)
    assert commit_of(suite.checkpoints[1]) == repository.commits["Saving HF Model -- Step 1000"]
    assert load_config(suite.checkpoints[1]).hidden_size == 32


def test_names_of_repositories_follow_size_and_seed(hub: HubServer, saved_model: Path) -> None:
    preset = PRESETS["gpt2-stanford-medium"]
    for name, seed in zip(preset.names["medium"], preset.seeds, strict=True):
        titles = dict.fromkeys(["delete", "checkpoint-20 contents", "checkpoint-10 contents"], saved_model)
        hub.repositories[f"stanford-crfm/{name}-gpt2-medium-x{seed}"] = Repository({"main": saved_model}, titles=titles)
    suite = preset.suite()
    assert [len(suite), suite.seeds(), suite.steps()] == [10, preset.seeds, (10, 20)]
    assert suite.checkpoint("medium", 777, 20).location == "stanford-crfm/eowyn-gpt2-medium-x777"


def test_the_disk_that_is_needed(hub: HubServer, saved_model: Path) -> None:
    asked = len(hub.requests)
    assert bytes_of_one(PRESETS["pythia"].suite())["1.4b"] == 2_930_000_000
    assert len(hub.requests) == asked
    files = ("config.json", "generation_config.json", "model.safetensors")
    whole = sum((saved_model / name).stat().st_size for name in files)
    assert bytes_of_one(open_suite("tiny/neox-14m")) == {"14m": whole}
    hub.repositories["tiny/neox-14m"].access = "gated"
    assert bytes_of_one(open_suite("tiny/neox-14m").select(steps=16)) == {}


def test_what_is_not_matched_is_told_with_a_pattern_that_takes_it_in(hub: HubServer, saved_model: Path) -> None:
    """Apertus: the long-context checkpoints are no steps of pretraining, and none are dropped in silence."""
    names = ["main", "longctx-step50", "longctx-step100", "step50000-tokens210B", "step2627139-tokens15T", "fp8"]
    hub.repositories["ai/Apertus-8B"] = Repository(dict.fromkeys(names, saved_model))
    with pytest.warns(PhasescopeWarning) as told:
        suite = open_suite("ai/Apertus-8B")
    assert suite.steps() == (50_000, 2_627_139)
    assert suite.left_out == ("fp8", "longctx-step100", "longctx-step50")
    (sentence,) = [str(one.message) for one in told]
    assert sentence.startswith(
        "3 of 5 revisions of ai/Apertus-8B are not matched: fp8, longctx-step100, longctx-step50."
    )
    offered = re.search(r"'(.*@.*)'", sentence)
    assert offered
    with pytest.warns(PhasescopeWarning, match="1 of 5 revisions of ai/Apertus-8B is not matched: fp8"):
        whole = open_suite(offered[1])
    assert [(one.step, one.stage) for one in whole] == [
        (50_000, ""), (2_627_139, ""), (2_627_189, "longctx"), (2_627_239, "longctx"),
    ]  # fmt: skip


def test_one_run_in_two_repositories(hub: HubServer, saved_model: Path) -> None:
    early = ["stage1-step0-tokens0B", "stage1-step1000-tokens3B", "stage1-step10000-tokens21B"]
    late = ["main", "stage1-step10000-tokens21B", "stage1-step20000-tokens42B", "odd"]
    hub.repositories["ai/Olmo-1B-early-training"] = Repository(dict.fromkeys(early, saved_model))
    hub.repositories["ai/Olmo-1B"] = Repository(dict.fromkeys(late, saved_model))
    with pytest.warns(PhasescopeWarning, match="1 of 5 revisions of .* is not matched: ai/Olmo-1B@odd"):
        suite = open_suite("ai/Olmo-1B+ai/Olmo-1B-early-training")
    assert [(one.label, one.location) for one in suite] == [
        ("1B/seed0/step0", "ai/Olmo-1B-early-training"),
        ("1B/seed0/step1000", "ai/Olmo-1B-early-training"),
        ("1B/seed0/step10000", "ai/Olmo-1B"),
        ("1B/seed0/step20000", "ai/Olmo-1B"),
    ]


def test_the_commits_that_a_trainer_pushed(hub: HubServer, saved_model: Path) -> None:
    titles = ["End of training", "Training in progress, step 1000", "Training in progress, step 500", "initial commit"]
    repository = Repository({"main": saved_model}, titles=dict.fromkeys(titles, saved_model))
    hub.repositories["me/tuned"] = repository
    for spec in ("me/tuned@commits:", r"me/tuned@commits:progress, step (?P<step>\d+)$"):
        suite = open_suite(spec)
        assert [(one.step, one.revision) for one in suite] == [
            (500, repository.commits["Training in progress, step 500"]),
            (1000, repository.commits["Training in progress, step 1000"]),
        ]
    with pytest.raises(PhasescopeError, match=r"No commit of me/tuned matches .*; it has End of training, Training"):
        open_suite(r"me/tuned@commits:Epoch (?P<step>\d+)")


def test_checkpoints_that_are_folders_of_a_repository(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    from phasescope.suites.load import load_model
    from phasescope.suites.tokenizer import load_tokenizer

    root = tmp_path / "pushed"
    for name in ("checkpoint-1000", "checkpoint-500", "runs/seed1/checkpoint-500", "best"):
        shutil.copytree(saved_model, root / name)
    tiny_model(seed=7).save_pretrained(root / "checkpoint-1000")
    hub.repositories["me/pushed"] = Repository({"main": root})
    with pytest.warns(PhasescopeWarning, match="2 of 4 revisions of me/pushed are not matched: best, runs/seed1/che"):
        suite = open_suite("me/pushed@folders:")
    assert [(one.step, one.place) for one in suite] == [
        (500, "me/pushed/checkpoint-500"),
        (1000, "me/pushed/checkpoint-1000"),
    ]
    weights = [load_model(one).get_input_embeddings().weight for one in suite]
    assert torch.equal(weights[0], tiny_model().get_input_embeddings().weight)
    assert torch.equal(weights[1], tiny_model(seed=7).get_input_embeddings().weight)
    assert len(load_tokenizer(suite.checkpoints[1])) > 0
    files = ("config.json", "generation_config.json", "model.safetensors")
    assert bytes_of_one(suite)[suite.sizes[0]] == sum((root / "checkpoint-500" / n).stat().st_size for n in files)
    assert sorted(path.name for path in tmp_path.glob("cache/models--me--pushed/snapshots/*/*")) == [
        "checkpoint-1000", "checkpoint-500"
    ]  # fmt: skip


def test_a_listing_shows_stages_units_and_names_of_seeds(hub: HubServer, saved_model: Path) -> None:
    from rich.console import Console

    from phasescope.reports.listings import suite_view

    def seen(spec: str, *names: str) -> str:
        hub.repositories["ai/one"] = Repository(dict.fromkeys(["main", *names], saved_model))
        console = Console(width=200, record=True)
        console.print(suite_view(open_suite(spec)))
        return console.export_text()

    pattern = r"@step(?P<step>\d+)-seed-(?P<seed>[\w-]+)$"
    assert "0 (default), 2 (small-aux-2)" in seen("ai/one" + pattern, "step1-seed-default", "step1-seed-small-aux-2")
    shown = seen("ai/one", "stage1-step1", "stage1-step9", "stage2-step5")
    assert "1, 9, 14; stage1: 1 to 9; stage2: 14 to 14" in shown
    assert " words " in seen("ai/one", "chck_1M", "chck_10M")
