"""Reading on NDIF: up to the server's door, and beyond it in a small server that stands in for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.probes import Probes
from phasescope.store import ShardKey
from tests.conftest import make_tokenizer
from tests.hooks import zoo
from tests.suites.hub_server import HubServer, Repository, connect

ASKED: dict[str, Any] = {"sequences": 6, "context": 12, "output_sequences": 2, "batch": 4}
SITES = ("ov_out", "pattern", "z", "attn_out", "mlp_out", "resid_post")
_SEEDS = r"@seed(?P<seed>\d)-step(?P<step>\d)"
GPT2, BERT = f"tiny/gpt2-1m{_SEEDS}", f"tiny/bert-1m{_SEEDS}"
Key = Callable[[str], None]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    """A hub with `tiny/gpt2-1m` and `tiny/bert-1m`: two seeds at step 4, one at step 0."""
    tokenizer, root = make_tokenizer(), tmp_path_factory.mktemp("hub")
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"})  # type: ignore[attr-defined]
    repositories = {}
    for name, kind in {"tiny/gpt2-1m": "GPT-2", "tiny/bert-1m": "BERT"}.items():
        branches = {}
        for seed, step in ((1, 0), (1, 4), (2, 4)):
            model, folder = zoo.make(kind, vocab_size=320), root / name / f"seed{seed}-step{step}"
            for parameter in model.parameters():
                parameter.data.mul_(seed + step / 10)
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
            branches[folder.name] = folder
        repositories[name] = Repository({"main": folder, **branches})
    with HubServer(repositories) as server:
        yield server


@pytest.fixture
def hub(served: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The same for the client of this process, with an empty cache."""
    connect(served, tmp_path / "cache", monkeypatch)
    return served


@pytest.fixture(scope="module")
def server(served: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server in a process of its own."""
    environment = {**os.environ, "HF_ENDPOINT": served.url, "HF_HUB_CACHE": str(tmp_path_factory.mktemp("theirs"))}
    environment = {**environment, "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
    command = [sys.executable, "-I", str(Path(__file__).with_name("ndif_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


@pytest.fixture
def ndif(hub: HubServer, server: str, monkeypatch: pytest.MonkeyPatch) -> Key:
    """Sets the key: `run`, `fail` and `refuse` say what the server does with jobs."""
    from nnsight.schema.config import CONFIG

    monkeypatch.setattr(CONFIG.API, "HOST", CONFIG.API.HOST)
    monkeypatch.setattr(CONFIG.API, "APIKEY", None)
    monkeypatch.setenv("NDIF_HOST", server)
    return lambda key: monkeypatch.setenv("NDIF_API_KEY", key)


def everything(run: ps.Run, key: ShardKey, group: str) -> dict[str, np.ndarray]:
    with run.folder.open_shard(key) as shard:
        return {name: shard.read(name) for name in shard.names(group)}


@pytest.mark.parametrize("repository", [pytest.param(GPT2, marks=pytest.mark.slow), BERT])
def test_a_remote_capture_is_a_local_one_without_weights(
    ndif: Key, repository: str, texts_file: Path, tmp_path: Path
) -> None:
    ndif("run")
    options: dict[str, Any] = {"texts": texts_file, "sites": SITES, **ASKED}
    remote = ps.capture(repository, out=tmp_path / "remote", engine="nnsight", remote=True, **options)
    assert remote.manifest["failed"] == []
    mine = {path.name for path in (tmp_path / "cache").rglob("*")}
    assert "tokenizer.json" in mine
    assert not any(name.endswith(".safetensors") for name in mine)
    local = ps.capture(repository, out=tmp_path / "local", **options)
    for key in remote.reader.keys:
        for group in ("activations", "outputs"):
            got, wanted = everything(remote, key, group), everything(local, key, group)
            assert got.keys() == wanted.keys() - {"outputs/final_hidden", "outputs/kl_unigram"}
            for name, values in got.items():
                # float32, sums in another order.
                np.testing.assert_allclose(values, wanted[name], rtol=1e-4, atol=1e-5, err_msg=name)
        assert everything(remote, key, "spectra") == {}
    tables = remote.analyse()
    assert set(tables["rank"].kind) == {"activation"}
    assert len(tables["surprisal"]) == 3
    assert len(tables["seeds"]) == 0
    page = remote.report(tmp_path / "report.html").read_text()
    assert "no spectra of weights: models that are read remotely keep them there" in page
    assert "keep their weights there, so no two seeds were compared" in page
    with h5py.File(remote.folder.shard(remote.reader.keys[0])) as shard:
        assert shard.attrs["engine"] == b"nnsight on NDIF"
    with pytest.raises(PhasescopeError, match="remote: True there, False now"):
        ps.capture(repository, out=tmp_path / "remote", engine="nnsight", **options)


def test_a_job_that_fails_is_a_bad_checkpoint(ndif: Key, texts_file: Path, tmp_path: Path) -> None:
    ndif("fail")
    run = ps.capture(GPT2, out=tmp_path / "run", texts=texts_file, engine="nnsight", remote=True, **ASKED)
    reasons = {failed["reason"] for failed in run.manifest["failed"]}
    assert reasons == {
        "NDIF could not read tiny/gpt2-1m@seed1-step0: RuntimeError: CUDA out of memory",
        "NDIF could not read tiny/gpt2-1m@seed1-step4: RuntimeError: CUDA out of memory",
        "NDIF could not read tiny/gpt2-1m@seed2-step4: RuntimeError: CUDA out of memory",
    }


def test_what_ndif_answers_is_explained(
    ndif: Key, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ndif("refuse")
    options: dict[str, Any] = {"texts": texts_file, "engine": "nnsight", "remote": True, **ASKED}
    with pytest.raises(
        PhasescopeError, match=r"answered 429 for tiny/gpt2-1m@seed1-step0: its queue is full.*Too many jobs"
    ):
        ps.capture(GPT2, out=tmp_path / "refused", **options)
    ndif("another")
    with pytest.raises(PhasescopeError, match=r"answered 401 .*: it does not know the key in NDIF_API_KEY: get one"):
        ps.capture(GPT2, out=tmp_path / "unknown", **options)
    monkeypatch.setenv("NDIF_HOST", "http://127.0.0.1:9")
    with pytest.raises(
        PhasescopeError, match=r"NDIF \(http://127.0.0.1:9\) cannot be reached for tiny/gpt2-1m@seed1-step0"
    ):
        ps.capture(GPT2, out=tmp_path / "nowhere", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "torch"}, r"The engine 'torch' cannot read remotely: add --engine nnsight"),
        ({"keep_weights": True}, "leave out --keep-weights"),
        ({"gradients": "inputs"}, "have no gradients"),
        ({"dtype": "float32"}, "leave out --dtype"),
        ({"device": "cpu"}, "leave out --dtype and --device"),
    ],
)
def test_what_cannot_be_asked_remotely_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        Probes(**{"engine": "nnsight", "remote": True, **options})


def test_folders_and_captures_without_a_key_are_refused(
    hub: HubServer, suite_folder: Path, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NDIF_API_KEY", raising=False)
    options: dict[str, Any] = {"texts": texts_file, "out": tmp_path / "run", "engine": "nnsight", "remote": True}
    with pytest.raises(PhasescopeError, match="is a folder on this machine, and NDIF reads repositories on the hub"):
        ps.capture(suite_folder, **options)
    with pytest.raises(PhasescopeError, match=r"NDIF asks for a key: get one at .* and set NDIF_API_KEY to it"):
        ps.capture(GPT2, **options)
    assert not (tmp_path / "run").exists()
