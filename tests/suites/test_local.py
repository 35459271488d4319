from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.suites import open_suite
from phasescope.suites.local import open_local


def make(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def test_sizes_seeds_and_steps_are_found_and_ordered_as_numbers(tmp_path: Path) -> None:
    steps = [f"{size}/seed{seed}/step{step}" for size in ("70m", "14m") for seed in (10, 2) for step in (1000, 0, 512)]
    suite = open_local(make(tmp_path / "mine", *steps))
    assert suite.family == "mine"
    assert suite.source == str(tmp_path / "mine")
    assert suite.sizes == ("14m", "70m")
    assert suite.seeds("14m") == (2, 10)
    assert suite.steps() == (0, 512, 1000)
    first = suite.checkpoints[0]
    assert first.label == "14m/seed2/step0"
    assert (first.location, first.revision) == (str(tmp_path / "mine/14m/seed2/step0"), None)


@pytest.mark.parametrize(
    "name",
    ["step512", "step00000512", "step-512", "checkpoint-512", "Step_512", "global_step512", "iter_0000512", "ckpt_512"],
)
def test_steps_may_be_written_in_these_ways(tmp_path: Path, name: str) -> None:
    assert open_local(make(tmp_path, f"14m/seed1/{name}")).checkpoints[0].label == "14m/seed1/step512"


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("step8", "mine/seed0/step8"),
        ("checkpoint-8", "mine/seed0/step8"),
        ("seed3/step8", "mine/seed3/step8"),
        ("14m/step8", "14m/seed0/step8"),
        ("14m/seed3/step8", "14m/seed3/step8"),
    ],
)
def test_levels_that_a_layout_lacks_are_filled_in(tmp_path: Path, folder: str, label: str) -> None:
    assert [one.label for one in open_local(make(tmp_path / "mine", folder))] == [label]


def test_a_part_of_a_suite_can_be_opened_by_its_folder(tmp_path: Path) -> None:
    make(tmp_path / "mine", "14m/seed3/step8", "14m/seed4/step8", "70m/seed3/step8")
    assert [one.label for one in open_local(tmp_path / "mine/14m")] == ["14m/seed3/step8", "14m/seed4/step8"]
    assert [one.label for one in open_local(tmp_path / "mine/14m/seed3")] == ["14m/seed3/step8"]


def test_temporaries_files_and_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    make(tmp_path, *(f"14m/seed1/{name}" for name in ("step8", ".step16", "step16.tmp", "step", "logs", "stepx8")))
    make(tmp_path, ".cache/seed1/step8", "logs")
    (tmp_path / "14m" / "seed1" / "step32").write_text("a file")
    (tmp_path / "suite.json").write_text("{}")
    assert [one.label for one in open_local(tmp_path)] == ["14m/seed1/step8"]


def test_a_relative_path_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "mine/14m/step8")
    monkeypatch.chdir(tmp_path)
    assert open_local("mine").checkpoints[0].location == str(tmp_path / "mine/14m/step8")
    monkeypatch.chdir(tmp_path / "mine")
    assert open_local(".").family == "mine"


def test_one_step_in_two_folders_is_refused(tmp_path: Path) -> None:
    make(tmp_path, "14m/step512", "14m/step00000512")
    with pytest.raises(PhasescopeError, match=r"both 14m/seed0/step512: .*step00000512 and .*step512\. Move one away"):
        open_local(tmp_path)


def test_a_folder_without_checkpoints_shows_the_layouts(tmp_path: Path) -> None:
    with pytest.raises(
        PhasescopeError, match=rf"{tmp_path} holds no checkpoints\. The layouts are <size>/seed<k>/step"
    ):
        open_local(make(tmp_path, "14m/logs"))


def test_the_folder_of_one_checkpoint_points_to_the_one_above(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"step512 holds no checkpoints: it is one\. Give the folder above it\."):
        open_local(make(tmp_path, "step512") / "step512")


def test_what_is_not_there_or_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=f"There is no folder {tmp_path}/nowhere"):
        open_local(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(PhasescopeError, match="file is a file, not a folder of checkpoints"):
        open_local(tmp_path / "file")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    locked = make(tmp_path, "14m/seed1") / "14m" / "seed1"
    locked.chmod(0)
    try:
        with pytest.raises(PhasescopeError, match=r"seed1 cannot be read \(Permission denied\)"):
            open_local(tmp_path)
    finally:
        locked.chmod(0o700)


def with_models(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
        (root / folder / "config.json").write_text("{}")
    return root


def test_folders_with_a_model_under_another_name_are_told(tmp_path: Path) -> None:
    with_models(tmp_path / "mine", "step0", "at2000", "step_3000_final", "14m/seed1/best", "step8.tmp", ".x")
    make(tmp_path / "mine", "logs", "step16")
    suite = open_local(tmp_path / "mine")
    assert suite.steps() == (0, 16)
    assert suite.left_out == ("14m/seed1/best", "at2000", "step_3000_final")
    with pytest.warns(
        PhasescopeWarning, match=r"3 folders of .*mine with a model in them are left out: 14m/seed1/best,"
    ):
        assert open_suite(tmp_path / "mine").select(steps="last").left_out == suite.left_out
    assert open_local(with_models(tmp_path / "sound", "step0", "step8")).left_out_note == ""


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (("final-step1000", "final-step2000"), (1000, 2000)),
        (("ext1000", "ext2000"), (1000, 2000)),
        (("train_00220B", "train_01320B"), (220, 1320)),
        (("10", "200"), (10, 200)),
        (("checkpoint-750step", "checkpoint-1500step"), (750, 1500)),
        (("run2-0100", "run2-0200"), (100, 200)),
        (("14m/seed2/at-step8", "14m/seed3/at-step16"), (8, 16)),
    ],
)
def test_the_pattern_that_is_offered_opens_them(tmp_path: Path, names: tuple[str, ...], steps: tuple[int, ...]) -> None:
    root = with_models(tmp_path / "mine", *names)
    with pytest.raises(PhasescopeError, match="holds no checkpoints of a known layout") as caught:
        open_suite(str(root))
    offered = re.search(r"'(.*@.*)'", str(caught.value))
    assert offered
    suite = open_suite(offered[1])
    assert (suite.steps(), suite.source, suite.left_out) == (steps, offered[1], ())
    assert {one.location for one in suite} == {str(root / name) for name in names}


def test_folders_may_be_called_as_the_hub_calls_revisions(tmp_path: Path) -> None:
    stages = "stage1-step1000-tokens4B", "stage1-step2000-tokens8B", "stage2-ingredient1-step500-tokens2B"
    suite = open_local(with_models(tmp_path / "olmo", *stages))
    told = [(one.step, one.tokens, one.stage) for one in suite]
    billion = 10**9
    assert told == [(1000, 4 * billion, "stage1"), (2000, 8 * billion, "stage1"), (2500, 10 * billion, "stage2")]
    assert [suite.seeds(), suite.left_out, suite.unit] == [(1,), (), "steps"]
    words = open_local(with_models(tmp_path / "baby", "chck_1M", "chck_100M"))
    assert (words.steps(), words.unit) == ((1_000_000, 100_000_000), "words")


def test_a_pattern_tells_seed_and_size_or_the_layout_does(tmp_path: Path) -> None:
    with_models(tmp_path / "mine", "14m/seed2/ckpt-8", "14m/seed2/ckpt-8/extra-9", "70m/ckpt-8", "ckpt-8", "1b-s4-at8")
    labels = [one.label for one in open_local(tmp_path / "mine", r"ckpt-(?P<step>\d+)$")]
    assert labels == ["14m/seed2/step8", "70m/seed0/step8", "mine/seed0/step8"]
    suite = open_local(tmp_path / "mine", r"^(?P<size>\w+)-s(?P<seed>\d)-at(?P<step>\d+)$")
    assert [one.label for one in suite] == ["1b/seed4/step8"]
    assert suite.left_out == ("14m/seed2/ckpt-8", "70m/ckpt-8", "ckpt-8")


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "is not a regular expression"),
        (r"ckpt-\d+", "does not say where the step is"),
        (r"(?P<step>\w+)-8", r"The step of the folder ckpt-8 is 'ckpt', not a number"),
        (r"nothing(?P<step>\d+)", r"no folder whose name matches .*; the folders with models are ckpt-8\."),
    ],
)
def test_a_pattern_that_cannot_be_used(tmp_path: Path, pattern: str, message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        open_suite(f"{with_models(tmp_path / 'mine', 'ckpt-8')}@{pattern}")


def test_a_folder_whose_name_has_an_at_is_a_folder(tmp_path: Path) -> None:
    with_models(tmp_path / "me@home" / "mine@2", "step8", "at_16")
    root = tmp_path / "me@home" / "mine@2"
    with pytest.warns(PhasescopeWarning, match="at_16"):
        assert open_suite(str(root)).steps() == (8,)
    with pytest.warns(PhasescopeWarning, match="step8"):
        assert open_suite(rf"{root}@at_(?P<step>\d+)").steps() == (16,)


def test_a_checkpoint_itself_is_no_suite(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"it is one\. Give the folder above it"):
        open_local(with_models(tmp_path, "ckpt_8") / "ckpt_8")
