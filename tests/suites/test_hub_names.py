"""Repositories whose names vary, steps that only the hub knows, and what the listing says about disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.suites import PRESETS, open_suite
from phasescope.suites.hub import LookUp
from phasescope.suites.presets import Preset, bytes_of_one
from tests.suites.hub_server import Fault, HubServer, Repository


@pytest.fixture
def many(hub: HubServer, saved_model: Path) -> HubServer:
    """Five repositories of one owner, on three pages of the list, and one of another owner."""
    for name in ("neox-14m-seed1", "neox-14m-seed2", "neox-31m-seed1", "neox-14m-data-seed1", "neox-14m-seed3x"):
        hub.repositories[f"many/{name}"] = Repository({"main": saved_model, "step0": saved_model, "step8": saved_model})
    hub.repositories["tiny/neox-14m-seed4"] = hub.repositories["many/neox-14m-seed1"]
    return hub


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
    names = ("main", "stage1-step1000-tokens5B", "stage1-step2000-tokens9B", "stage2-ingredient1-step1000-tokens5B")
    hub.repositories["ai/Model-1B"] = Repository(dict.fromkeys(names, saved_model))
    preset = Preset("x", "", "ai/{name}", ("1b",), revision=PRESETS["olmo2"].revision, names={"1b": ("Model-1B",)})
    assert [(one.label, one.revision) for one in preset.suite()] == [
        ("1b/seed0/step1000", "stage1-step1000-tokens5B"),
        ("1b/seed0/step2000", "stage1-step2000-tokens9B"),
    ]


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


def test_the_olmo_preset_asks_for_what_its_branches_are_called() -> None:
    assert PRESETS["olmo"].revision == LookUp(r"^step(?P<step>\d+)-tokens\d+B$")
    assert [name for name, preset in PRESETS.items() if preset.is_looked_up] == [
        "gpt2-stanford-medium", "olmo", "olmo2", "pico"
    ]  # fmt: skip


def test_the_disk_that_is_needed(hub: HubServer, saved_model: Path) -> None:
    asked = len(hub.requests)
    assert bytes_of_one(PRESETS["pythia"].suite())["1.4b"] == 2_930_000_000
    assert len(hub.requests) == asked
    files = ("config.json", "generation_config.json", "model.safetensors")
    whole = sum((saved_model / name).stat().st_size for name in files)
    assert bytes_of_one(open_suite("tiny/neox-14m")) == {"14m": whole}
    hub.repositories["tiny/neox-14m"].access = "gated"
    assert bytes_of_one(open_suite("tiny/neox-14m").select(steps=16)) == {}
