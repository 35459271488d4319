"""Before a capture from the hub its listings are looked at: what is wrong is told, what was replaced is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.suites import Checkpoint, Suite
from tests.suites.hub_server import Fault, HubServer, Repository, digest_of, serving


@pytest.fixture
def hub(suite_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """`toy/tiny`, whose step 4 holds the last weights."""
    folder = suite_folder / "tiny/seed1"
    branches = {f"step{step}": folder / f"step{of}" for step, of in {0: 0, 1: 1, 4: 16, 16: 16}.items()}
    with serving({"toy/tiny": Repository(branches)}, tmp_path / "cache", monkeypatch) as server:
        yield server


def capture(texts: Path, out: Path) -> ps.Run:
    return ps.capture("toy/tiny", texts, out, sequences=4, context=16, output_sequences=2, sites="mlp_out")


def test_it_is_told_before_anything_is_fetched(
    hub: HubServer, texts_file: Path, tmp_path: Path, suite_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = capture(texts_file, tmp_path / "run")
    told = capsys.readouterr().err
    assert "Not all checkpoints are what their names say, as the hub lists them." in told
    assert "tiny: step 4 holds the same weights as step 16." in told
    listed = [number for number, asked in enumerate(hub.requests) if "/tree/" in asked and "recursive=true" in asked]
    fetched = [number for number, asked in enumerate(hub.requests) if "/resolve/" in asked]
    assert len([number for number in listed if number < fetched[0]]) >= 4
    commits = hub.repositories["toy/tiny"].commits
    assert run.manifest["checkpoints"][2] == {
        "size": "tiny",
        "seed": 0,
        "step": 4,
        "commit": commits["step4"],
        "sha256": digest_of(suite_folder / "tiny/seed1/step16/model.safetensors"),
    }


def test_another_commit_is_refused_where_it_has_other_weights(
    hub: HubServer, texts_file: Path, tmp_path: Path, suite_folder: Path
) -> None:
    capture(texts_file, tmp_path / "run")
    before = (tmp_path / "run/run.json").read_text()
    repository = hub.repositories["toy/tiny"]
    old = repository.commits["step4"]
    repository.commits["step4"] = "b" * 40
    capture(texts_file, tmp_path / "run")  # the card was changed, say
    repository.branches["step4"] = suite_folder / "tiny/seed1/step4"  # type: ignore[index]
    repository.commits["step4"] = "c" * 40
    with pytest.raises(PhasescopeError, match=rf"tiny/seed0/step4 .* replaced .* {'b' * 40} and is at {'c' * 40} now"):
        capture(texts_file, tmp_path / "run")
    assert old in before


def test_a_hub_that_lists_nothing_does_not_stop_a_capture(hub: HubServer, texts_file: Path, tmp_path: Path) -> None:
    hub.faults.append(Fault("/refs", 429, times=20))
    one = Suite("tiny", "toy/tiny", (Checkpoint("tiny", "tiny", 0, 16, "toy/tiny", "step16"),))
    run = ps.capture(one, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    assert run.manifest["checkpoints"] == [{"size": "tiny", "seed": 0, "step": 16}]
