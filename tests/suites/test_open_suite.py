"""`open_suite`: what a specification means."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.suites import PRESETS, Suite, open_suite
from tests.suites.hub_server import HubServer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite in `runs/mine` of the current folder."""
    (tmp_path / "runs" / "mine" / "14m" / "seed1" / "step8").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "mine"


@pytest.mark.parametrize("spec", ["runs/mine", "./runs/mine", "runs/mine/", Path("runs/mine")])
def test_a_folder(folder: Path, spec: str | Path) -> None:
    assert open_suite(spec).source == str(folder)


def test_a_suite_is_itself(folder: Path) -> None:
    suite = open_suite(folder)
    assert open_suite(suite) is suite


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.is_looked_up])
def test_a_preset(name: str) -> None:
    assert open_suite(name) == PRESETS[name].suite()


def test_a_folder_goes_before_a_preset_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pythia" / "step8").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert open_suite("pythia").source == str(tmp_path / "pythia")


def test_a_repository_with_and_without_a_pattern(hub: HubServer) -> None:
    assert open_suite("tiny/neox-14m").steps() == (0, 8, 16)
    with pytest.warns(PhasescopeWarning, match=r"1 of 3 revisions of tiny/neox-14m is not matched: step16\."):
        assert open_suite(r"tiny/neox-14m@^step(?P<step>\d)$").steps() == (0, 8)


@pytest.mark.parametrize("spec", ["runs/nobody", "./nowhere", "/nowhere/at/all", "~/no-such-suite", "nowhere/"])
def test_a_path_to_nothing_is_taken_for_a_path(folder: Path, spec: str) -> None:
    with pytest.raises(PhasescopeError, match="There is no folder /"):
        open_suite(spec)


def test_a_repository_that_is_not_there_is_no_folder_either(hub: HubServer) -> None:
    with pytest.raises(PhasescopeError, match=r"shows no repository nobody/nothing: .* no folder nobody/nothing here"):
        open_suite("nobody/nothing")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("polypythai", r"'polypythai' is no folder, .* Did you mean polypythia\?"),
        ("a b", r"'a b' is no folder, no repository on the hub \(owner/name\) and no preset"),
        ("", r"'' is no folder"),
        ("a/b/c", r"'a/b/c' is no folder"),
    ],
)
def test_anything_else_is_quoted_with_the_presets(spec: str, message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        open_suite(spec)


def test_naming_checkpoints_loads_no_heavy_library() -> None:
    heavy = ["torch", "transformers", "huggingface_hub", "numpy", "safetensors"]
    code = (
        "import sys; from phasescope.suites import open_suite; print(open_suite('polypythia'));"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [repr(PRESETS["polypythia"].suite()), "[]"]


def test_a_name_that_the_room_does_not_have_is_an_attribute_error() -> None:
    import phasescope.suites as room

    assert room.Suite is Suite
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        _ = room.tarin
