"""Downloads that break off, a hub that is busy, a disk that is full, files that are not what they should be."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites import Checkpoint, open_suite, transfer
from phasescope.suites.load import load_config, load_model, prepare
from phasescope.suites.tokenizer import load_tokenizer
from phasescope.suites.transfer import StoppedError, Transfer, transferring
from tests.suites.hub_server import Fault, HubServer, Repository

EMBEDDING = "gpt_neox.embed_in.weight"


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint("neox-14m", "14m", 0, 8, "tiny/neox-14m", "step8")


def partial(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").rglob("*.incomplete"))


def elsewhere(hub: HubServer, cache: Path, code: str, **options: object) -> subprocess.Popen[bytes]:
    """Run Python in another process whose client talks to this hub."""
    environment = {**os.environ, **hub.environment, "HF_HUB_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )  # type: ignore[call-overload]


FETCH = (
    "from phasescope.suites import Checkpoint; from phasescope.suites.load import prepare;"
    "from phasescope.errors import PhasescopeError\n"
    "try: prepare(Checkpoint('neox-14m', '14m', 0, 8, 'tiny/neox-14m', 'step8'))\n"
    "except PhasescopeError as error: print(type(error).__name__, error)"
)


def test_a_download_goes_on_where_a_killed_process_left_it(
    hub: HubServer, checkpoint: Checkpoint, saved_model: Path, tmp_path: Path
) -> None:
    hub.rate = 50_000.0  # Pieces of 32 KiB of a file of 130 kB.
    process = elsewhere(hub, tmp_path / "cache", FETCH)
    while not any(path.stat().st_size for path in partial(tmp_path)):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = partial(tmp_path)
    begun = left.stat().st_size
    hub.rate = None
    loaded = load_model(checkpoint).state_dict()
    assert torch.equal(loaded[EMBEDDING], load_file(saved_model / "model.safetensors")[EMBEDDING])
    assert begun > 0
    assert hub.ranges == [f"bytes={begun}-"]
    assert partial(tmp_path) == []


def test_a_line_that_breaks_off_again_and_again_gets_there_while_something_arrives(
    hub: HubServer, checkpoint: Checkpoint
) -> None:
    told: list[str] = []
    with transferring(Transfer(tell=lambda text: (told.append(text), setattr(hub, "cut_after", 9_000))[0])):
        hub.cut_after = 9_000
        load_model(checkpoint)
    assert len(hub.ranges) > 2 * len(transfer.PATIENCE)
    assert "the connection to the hub is slow or broke off: trying again in 0 s" in told


def test_what_was_left_by_another_file_is_not_taken_for_this_one(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    load_config(checkpoint)
    folder = tmp_path / "cache/models--tiny--neox-14m/blobs"
    digest = hub.blobs  # Filled when the weights are asked for.
    hub.faults.append(Fault("model.safetensors", 404))
    with pytest.raises(PhasescopeError):
        prepare(checkpoint)
    hub.faults.clear()
    (left,) = folder.glob("*.incomplete")
    left.write_bytes(b"x" * 1000)
    with pytest.raises(BadCheckpointError, match=r"model\.safetensors arrived from .*@step8 with other bytes than"):
        prepare(checkpoint)
    assert digest
    assert partial(tmp_path) == []
    prepare(checkpoint)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize("part", ["GET /api/models/tiny/neox-14m/revision/", "GET /tiny/neox-14m/resolve/COMMIT/model"])
def test_a_busy_hub_is_asked_again_and_that_is_told(
    hub: HubServer, checkpoint: Checkpoint, status: int, part: str
) -> None:
    told: list[str] = []
    # Not a HEAD, nor a list in pages: these the client asks for again itself.
    part = part.replace("COMMIT", hub.repositories["tiny/neox-14m"].commits["step8"])
    hub.faults.append(Fault(part, status, times=2))
    with transferring(Transfer(tell=told.append)):
        prepare(checkpoint)
    assert told.count(f"the hub answers {status}: trying again in 0 s") == 2
    assert sum(line.startswith(part) for line in hub.requests) == 3


@pytest.mark.parametrize("status", [401, 404])
def test_what_will_not_change_is_not_asked_again(hub: HubServer, checkpoint: Checkpoint, status: int) -> None:
    hub.faults.append(Fault("/revision/", status))
    with pytest.raises(PhasescopeError):
        prepare(checkpoint)
    assert sum("/revision/" in line for line in hub.requests) == 1


def test_patience_ends(hub: HubServer, checkpoint: Checkpoint) -> None:
    hub.faults.append(Fault("/revision/", 503))
    with pytest.raises(PhasescopeError, match="The hub answered 503 for tiny/neox-14m@step8: try again later"):
        prepare(checkpoint)
    assert sum("/revision/" in line for line in hub.requests) == 1 + len(transfer.PATIENCE)


def test_a_timeout_is_asked_again(hub: HubServer, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    hub.rate = 40_000.0  # Nothing for 0.8 s between two pieces.
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if "slow" in text:
            hub.rate = None

    with transferring(Transfer(tell=tell)):
        prepare(checkpoint)
    assert any("slow" in text for text in told)
    assert hub.ranges


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=3600))}, 600.0),
        ({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(seconds=9))}, 0.0),
        ({"RateLimit": '"api";r=0;t=42'}, 42.0),
    ],
)
def test_the_hub_says_how_long_to_wait(
    hub: HubServer, headers: dict[str, str], seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(Transfer, "wait", lambda self, seconds: waited.append(seconds))
    hub.faults.append(Fault("/refs", 429, times=1, headers=headers))
    open_suite("tiny/neox-14m")
    assert waited == [seconds]


def test_a_stop_ends_a_slow_download_at_once_and_keeps_what_arrived(
    hub: HubServer, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    hub.rate = 50_000.0
    with transferring(Transfer()) as going:
        going.tell = lambda text: going.stop() if text.startswith("fetching") else None
        with pytest.raises(StoppedError):
            prepare(checkpoint)
    (left,) = partial(tmp_path)
    assert 0 < left.stat().st_size < 100_000


def test_a_full_disk_is_told_and_left_as_it_was(hub: HubServer, tmp_path: Path) -> None:
    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))

    process = elsewhere(hub, tmp_path / "cache", FETCH, preexec_fn=small_files_only)
    said, errors = process.communicate()
    assert b"PhasescopeError The disk is full: tiny/neox-14m@step8 does not fit in" in said, errors
    assert b"Free some space, set HF_HOME" in said
    assert partial(tmp_path) == []


def test_a_disk_that_will_be_full_is_told_before(
    hub: HubServer, checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(
        PhasescopeError, match=r"tiny/neox-14m@step8: model\.safetensors needs 1.. kB, there are 1\.0 k"
    ):
        prepare(checkpoint)
    assert hub.blobs == {}


def test_weights_under_other_names_are_named(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(saved_model, folder)
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    (folder / "original").mkdir()
    (folder / "original" / "consolidated.00.pth").write_bytes(b"x")
    hub.repositories["tiny/odd"] = Repository({"step1": folder})
    with pytest.raises(
        BadCheckpointError,
        match=r"no weights that can be read in tiny/odd@step1: neither model\.safetensors nor pytorch_model\.bin, "
        r"whole or sharded; there are original/consolidated\.00\.pth, weights\.safetensors\. Convert them with",
    ):
        load_model(open_suite("tiny/odd").checkpoints[0])


def test_a_pickle_that_runs_code_is_refused_and_named(hub: HubServer, saved_model: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'ran'}",)

    folder = tmp_path / "trap"
    shutil.copytree(saved_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Trap()}, protocol=2))
    hub.repositories["tiny/trap"] = Repository({"step1": folder})
    with pytest.raises(BadCheckpointError, match=r"pytorch_model\.bin is refused: it holds more than tensors"):
        load_model(open_suite("tiny/trap").checkpoints[0])
    assert not (tmp_path / "ran").exists()


CODE = """
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
class OwnConfig(GPTNeoXConfig):
    model_type = "own"
class OwnModel(GPTNeoXForCausalLM):
    config_class = OwnConfig
"""


def test_code_that_comes_with_a_model_is_run_only_if_trusted(
    hub: HubServer, saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = tmp_path / "own"
    shutil.copytree(saved_model, folder)
    (folder / "own.py").write_text(CODE)
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] = weights.pop("embed_out.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "own", "auto_map": own}))
    hub.repositories["tiny/own"] = Repository({"step1": folder})
    checkpoint = open_suite("tiny/own").checkpoints[0]
    for load in (load_config, load_model):
        with pytest.raises(BadCheckpointError, match=r"Python code of its own, .* ask for it: --trust-remote-code"):
            load(checkpoint)
    assert type(load_model(checkpoint, trust_remote_code=True)).__name__ == "OwnModel"
    assert load_tokenizer(checkpoint, trust_remote_code=True).is_fast
