"""Before a capture from the hub its listings are looked at: what is wrong is told, what was replaced is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, verify
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


def test_steps_of_another_training_under_the_same_name_are_refused(
    hub: HubServer, texts_file: Path, tmp_path: Path, suite_folder: Path
) -> None:
    """The whole repository is replaced, and other steps are asked for than before."""
    asked = {"sequences": 4, "context": 16, "output_sequences": 2, "sites": "mlp_out"}
    ps.capture("toy/tiny", texts_file, tmp_path / "run", steps="0,1", **asked)
    repository = hub.repositories["toy/tiny"]
    old = dict(repository.commits)
    repository.commits.update({name: commit[::-1] for name, commit in old.items()})  # cards were changed
    hub.requests.clear()
    ps.capture("toy/tiny", texts_file, tmp_path / "run", steps="4", **asked)
    assert sum("/tree/" in one and "recursive=true" in one and old["step1"][::-1] in one for one in hub.requests) == 1
    other = suite_folder / "tiny/seed2"
    repository.branches = {name: other / name for name in ("step0", "step1", "step4", "step16")}
    repository.commits.update({name: commit[::-1][:-1] + "0" for name, commit in old.items()})
    hub.requests.clear()
    refused = rf"step0 of toy/tiny has been replaced .* commit {old['step0']} and is at {old['step0'][::-1][:-1]}0 now"
    with pytest.raises(PhasescopeError, match=refused):
        ps.capture("toy/tiny", texts_file, tmp_path / "run", steps="16", **asked)
    assert not any("/resolve/" in one for one in hub.requests)
    assert sum("/refs" in one for one in hub.requests) == 2  # opening the suite, and its listings
    del repository.branches["step0"], repository.branches["step1"], repository.branches["step4"]  # type: ignore[attr-defined]
    ps.capture("toy/tiny", texts_file, tmp_path / "run", steps="16", **asked)  # nothing is there to be held against it


def test_a_hub_that_lists_nothing_does_not_stop_a_capture(hub: HubServer, texts_file: Path, tmp_path: Path) -> None:
    hub.faults.append(Fault("/refs", 429, times=20))
    one = Suite("tiny", "toy/tiny", (Checkpoint("tiny", "tiny", 0, 16, "toy/tiny", "step16"),))
    run = ps.capture(one, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    assert run.manifest["checkpoints"] == [{"size": "tiny", "seed": 0, "step": 16}]


def test_equal_weights_are_fetched_and_probed_once(
    hub: HubServer, suite_folder: Path, texts_file: Path, tmp_path: Path, opened: list[Checkpoint]
) -> None:
    asked = {"sequences": 4, "context": 16, "output_sequences": 2, "sites": "mlp_out", "behaviour": ["minimal_pairs"]}
    plain = ps.capture(suite_folder, texts_file, tmp_path / "plain", sizes=["tiny"], seeds=[1], **asked)
    opened.clear()
    run = ps.capture("toy/tiny", texts_file, tmp_path / "run", **asked)
    assert [one.step for one in opened] == [0, 1, 4]
    weights = [one for one in hub.requests if "model.safetensors" in one and "/resolve/" in one]
    assert not any(hub.repositories["toy/tiny"].commits["step16"] in one for one in weights)
    assert not [finding for finding in verify(RunFolder(run.path)) if finding.problem]
    last, of = ShardKey("tiny", 0, 16), ShardKey("tiny", 1, 16)
    with RunFolder(run.path).open_shard(last) as shard, RunFolder(plain.path).open_shard(of) as visited:
        assert (shard.attrs["same_as"], shard.attrs["revision"]) == ("tiny/seed0/step4", "step16")
        assert shard.attrs["commit"] == hub.repositories["toy/tiny"].commits["step16"]
        assert shard.names() == visited.names()
        for name in shard.names():
            assert np.array_equal(shard.read(name), visited.read(name)), name
            assert shard.attrs_of(name) == visited.attrs_of(name)
    items = run.reader.item_sets("minimal_pairs")[0]
    assert [key.step for key in run.reader.scored(items)] == [0, 1, 16]  # and step 4 is left out as a suspect
    assert [one.sentence for one in run.audit()] == ["tiny: step 4 holds the same weights as step 16."]
    # A twin that is gone is no reason not to go on.
    for key in (last, ShardKey("tiny", 0, 4)):
        RunFolder(run.path).shard(key).unlink()
    again = ps.capture("toy/tiny", texts_file, run.path, **asked)
    assert not [finding for finding in verify(RunFolder(again.path)) if finding.problem]


def test_the_trunk_of_branches_is_fetched_and_probed_once(
    hub: HubServer, suite_folder: Path, texts_file: Path, tmp_path: Path, opened: list[Checkpoint]
) -> None:
    """As OLMo 2's: one first stage, and the second in three orders of its data."""
    of = {"stage1-step1-tokens1B": 1, "stage1-step4-tokens4B": 4}
    branches = {name: suite_folder / f"tiny/seed1/step{step}" for name, step in of.items()}
    branches |= {f"stage2-ingredient{one}-step2-tokens2B": suite_folder / f"tiny/seed{one}/step16" for one in (1, 2)}
    hub.repositories["toy/staged"] = Repository(branches)
    run = ps.capture("toy/staged", texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2)
    assert [one.label for one in opened] == [
        f"staged/seed{seed}/step{step}" for seed, step in ((1, 1), (1, 4), (1, 6), (2, 6))
    ]
    commits = hub.repositories["toy/staged"].commits
    for step, name in ((1, "stage1-step1-tokens1B"), (4, "stage1-step4-tokens4B")):
        fetched = [one for one in hub.requests if f"/{commits[name]}/model.safetensors" in one and "GET" in one]
        assert len(fetched) == 1
        folder = RunFolder(run.path)
        keys = [ShardKey("staged", seed, step) for seed in (1, 2)]
        with folder.open_shard(keys[0]) as first, folder.open_shard(keys[1]) as second:
            assert "same_as" not in first.attrs
            assert second.attrs["same_as"] == f"staged/seed1/step{step}"
            assert (second.attrs["revision"], second.attrs["commit"]) == (name, commits[name])
            assert all(np.array_equal(first.read(one), second.read(one)) for one in first.names())
    told = {(one["seed"], one["step"]): one for one in run.manifest["checkpoints"]}
    assert told[2, 4]["commit"] == told[1, 4]["commit"] == commits["stage1-step4-tokens4B"]
    assert run.audit() == []
    assert not [one for one in verify(RunFolder(run.path)) if one.problem]
