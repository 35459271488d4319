"""The hub's own client talks to a small hub on loopback."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites import Checkpoint, open_suite
from phasescope.suites.hub import open_hub
from phasescope.suites.load import commit_of, load_config, load_model, open_model
from phasescope.suites.tokenizer import load_tokenizer
from tests.suites.conftest import tiny_model, tiny_tokenizer
from tests.suites.hub_server import HubServer, Repository

EMBEDDING = "gpt_neox.embed_in.weight"


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint("neox-14m", "14m", 0, 8, "tiny/neox-14m", "step8")


def downloads(hub: HubServer) -> list[str]:
    """The names of the files whose content was asked for (large ones by their hash)."""
    return [asked.rpartition("/")[2] for asked in hub.requests if asked.startswith("GET") and "/api/" not in asked]


def test_revisions_become_checkpoints(hub: HubServer) -> None:
    suite = open_hub("tiny/neox-14m")
    assert (suite.family, suite.source) == ("neox-14m", "tiny/neox-14m")
    assert [(one.label, one.place) for one in suite] == [
        (f"14m/seed0/step{step}", f"tiny/neox-14m@step{step}") for step in (0, 8, 16)
    ]


def test_a_pattern_names_step_seed_and_size(hub: HubServer, saved_model: Path) -> None:
    names = ["main", "small-seed2-step16-tokens1B", "small-seed1-step8-tokens1B", "big-seed1-step8-tokens1B"]
    hub.repositories["tiny/mixed"] = Repository({"main": saved_model}, tags=dict.fromkeys(names[1:], saved_model))
    suite = open_suite(r"tiny/mixed@(?P<size>\w+)-seed(?P<seed>\d+)-step(?P<step>\d+)-tokens")
    assert [one.label for one in suite] == ["small/seed1/step8", "small/seed2/step16", "big/seed1/step8"]
    assert suite.checkpoints[1].revision == "small-seed2-step16-tokens1B"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        (
            r"ckpt(?P<step>\d+)",
            r"No revision of tiny/neox-14m matches 'ckpt.*; it has main, step0, step16, step8\. Give",
        ),
        (r"step(?P<step>\d", r"is not a regular expression: missing \)"),
        (r"step(\d+)", r"does not say where the step is: put it in a group, as in 'step\(\?P<step>"),
        (r"(?P<step>step\d+)", r"The step of revision 'step0' is 'step0', not a number"),
        (r"st(?P<step>e)p\d", r"The step of revision 'step0' is 'e', not a number"),
    ],
)
def test_a_pattern_that_does_not_work_is_quoted(hub: HubServer, pattern: str, message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        open_hub("tiny/neox-14m", pattern)


def test_two_revisions_of_one_step_ask_for_a_narrower_pattern(hub: HubServer, saved_model: Path) -> None:
    hub.repositories["tiny/twice"] = Repository({"step8": saved_model, "checkpoint-8": saved_model})
    with pytest.raises(PhasescopeError, match=r"both .*tiny/twice@step8\. Give a pattern that matches only one"):
        open_suite("tiny/twice")


def test_model_tokenizer_and_tensors_come_from_the_hub(
    hub: HubServer, checkpoint: Checkpoint, saved_model: Path
) -> None:
    saved = load_file(saved_model / "model.safetensors")
    assert torch.equal(load_model(checkpoint).state_dict()[EMBEDDING], saved[EMBEDDING])
    assert torch.equal(open_model(checkpoint).get_output_embeddings().weight, saved["embed_out.weight"])
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()
    assert commit_of(checkpoint) == hub.repositories["tiny/neox-14m"].commits["step8"]


def test_only_what_is_needed_is_fetched_and_once(hub: HubServer, checkpoint: Checkpoint) -> None:
    assert load_config(checkpoint).hidden_size == 32
    assert downloads(hub) == ["config.json"]
    load_model(checkpoint)
    (digest,) = hub.blobs
    # The large file by its name, and then where it is.
    assert sorted(downloads(hub)) == sorted(["config.json", "generation_config.json", "model.safetensors", digest])
    asked = len(hub.requests)
    load_model(checkpoint)
    load_config(checkpoint)
    commit_of(checkpoint)
    assert len(hub.requests) == asked


def test_safetensors_are_preferred_and_a_pickle_is_fetched_where_there_are_none(
    hub: HubServer, saved_model: Path, tmp_path: Path
) -> None:
    both, pickled = tmp_path / "both", tmp_path / "pickled"
    for folder in (both, pickled):
        shutil.copytree(saved_model, folder)
        torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    hub.repositories["tiny/two"] = Repository({"step1": both, "step2": pickled})
    first, second = open_suite("tiny/two")
    load_model(first)
    assert {file.name for file in hub.blobs.values()} == {"model.safetensors"}
    loaded = load_model(second).state_dict()
    assert {file.name for file in hub.blobs.values()} == {"model.safetensors", "pytorch_model.bin"}
    assert torch.equal(loaded[EMBEDDING], tiny_model().state_dict()[EMBEDDING])


def test_shards_come_from_the_hub(hub: HubServer, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    hub.repositories["tiny/sharded"] = Repository({"step1": tmp_path / "sharded"})
    loaded = load_model(open_suite("tiny/sharded").checkpoints[0]).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in tiny_model().state_dict().items())


def test_a_download_that_breaks_off_is_resumed(hub: HubServer, checkpoint: Checkpoint, saved_model: Path) -> None:
    hub.cut_after = 1000
    loaded = load_model(checkpoint).state_dict()
    assert torch.equal(loaded[EMBEDDING], load_file(saved_model / "model.safetensors")[EMBEDDING])
    (digest,) = hub.blobs
    assert downloads(hub).count(digest) == 2
    assert hub.ranges == ["bytes=1000-"]


def test_the_tokenizer_may_lie_in_the_default_branch(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "bare")
    hub.repositories["tiny/neox"] = Repository({"main": saved_model, "step8": tmp_path / "bare"})
    checkpoint = open_suite("tiny/neox").checkpoints[0]
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()
    hub.repositories["tiny/none"] = Repository({"main": tmp_path / "bare", "step8": tmp_path / "bare"})
    with pytest.raises(BadCheckpointError, match=r"has no tokenizer: .* tiny/none@step8 or the branch main"):
        load_tokenizer(open_suite("tiny/none").checkpoints[0])


def test_what_the_hub_does_not_have_is_a_bad_checkpoint(hub: HubServer, checkpoint: Checkpoint, tmp_path: Path) -> None:
    gone = Checkpoint("neox", "14m", 0, 9, "tiny/neox-14m", "step9")
    with pytest.raises(BadCheckpointError, match=r"tiny/neox-14m has no such revision: tiny/neox-14m@step9"):
        load_model(gone)
    with pytest.raises(
        BadCheckpointError, match=r"The hub shows no repository tiny/nothing: check the spelling, or, if"
    ):
        load_model(Checkpoint("neox", "14m", 0, 9, "tiny/nothing", "step9"))
    (tmp_path / "empty").mkdir()
    hub.repositories["tiny/empty"] = Repository({"step8": tmp_path / "empty"})
    with pytest.raises(BadCheckpointError, match=r"14m/seed0/step8 has no config\.json in tiny/empty@step8"):
        load_model(Checkpoint("neox", "14m", 0, 8, "tiny/empty", "step8"))


@pytest.mark.parametrize("access", ["private", "gated"])
def test_a_repository_that_is_closed_says_how_to_get_in(hub: HubServer, checkpoint: Checkpoint, access: str) -> None:
    hub.repositories["tiny/neox-14m"].access = access
    sentence = {
        "private": "if it is private, log in with `hf auth login`",
        "gated": "is gated: accept its terms at http",
    }
    with pytest.raises(BadCheckpointError, match=sentence[access]):
        load_model(checkpoint)


@pytest.mark.parametrize(
    ("status", "remedy"), [(500, "try again later"), (403, "your account may not read it"), (404, "check the spelling")]
)
def test_other_answers_stop_the_work_with_a_remedy(
    hub: HubServer, checkpoint: Checkpoint, status: int, remedy: str
) -> None:
    hub.status = status
    for ask in (lambda: open_hub("tiny/neox-14m"), lambda: load_model(checkpoint)):
        with pytest.raises(PhasescopeError, match=f"The hub answered {status} for tiny/neox-14m.*: {remedy}") as caught:
            ask()
        assert not isinstance(caught.value, BadCheckpointError)


def test_a_hub_that_cannot_be_reached_is_told_and_the_cache_still_works(
    hub: HubServer, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phasescope.suites import fetched

    load_model(checkpoint)
    hub.stop()
    fetched.fetched.clear()
    assert load_model(checkpoint).config.hidden_size == 32
    other = Checkpoint("neox", "14m", 0, 16, "tiny/neox-14m", "step16")
    for ask in (lambda: open_hub("tiny/neox-14m"), lambda: load_model(other)):
        with pytest.raises(
            PhasescopeError, match=r"The hub \(http://127.*\) cannot be reached for tiny/neox-14m"
        ) as caught:
            ask()
        assert not isinstance(caught.value, BadCheckpointError)


def test_offline_mode_works_with_what_is_cached(
    hub: HubServer, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    from phasescope.suites import fetched

    load_model(checkpoint)
    fetched.fetched.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert commit_of(checkpoint) == hub.repositories["tiny/neox-14m"].commits["step8"]
    assert load_model(checkpoint).config.hidden_size == 32
    with pytest.raises(PhasescopeError, match="HF_HUB_OFFLINE is not set"):
        load_tokenizer(checkpoint)


def test_a_branch_that_moved_is_fetched_again(
    hub: HubServer, saved_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.repositories["tiny/moving"] = Repository({"step8": saved_model})
    checkpoint = open_suite("tiny/moving").checkpoints[0]
    load_tokenizer(checkpoint)
    hub.repositories["tiny/moving"].commits["step8"] = "f" * 40
    load_model(checkpoint)
    assert commit_of(checkpoint) == "f" * 40
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()


def test_the_environment_leads_a_new_process_to_another_hub(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    code = (
        "import pickle, sys; from phasescope.suites import open_suite; from phasescope.suites.download import fetch;"
        "suite = open_suite('tiny/neox-14m'); folder = fetch(suite.checkpoint('14m', 0, 16), ('*.safetensors',));"
        "sys.stdout.buffer.write(pickle.dumps((suite, folder)))"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(tmp_path), "HF_HUB_DISABLE_XET": "1"}
    environment.pop("HF_HUB_OFFLINE", None)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment, check=True)
    suite, folder = pickle.loads(result.stdout)
    assert suite == open_hub("tiny/neox-14m")
    assert folder.name == hub.repositories["tiny/neox-14m"].commits["step16"]
    assert (folder / "model.safetensors").read_bytes() == (saved_model / "model.safetensors").read_bytes()
    assert result.stderr == b""
