"""What is taken from a run that somebody else may have written, and what never is."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.explorer.live_job import How
from phasescope.store import ShardKey
from phasescope.visits.behaviour.making import Making
from phasescope.visits.behaviour.scoring import make_items
from phasescope.visits.importing.evaluating import Evaluation
from phasescope.visits.recorded import probes_of, suite_of
from tests.conftest import make_suite
from tests.suites.hub_server import Repository, serving

TEXT = "The layer says"
CODE = """
open({mark!r}, "a").close()
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
class C(GPTNeoXConfig):
    model_type = "odd"
class M(GPTNeoXForCausalLM):
    config_class = C
"""
MODULES = ["gpt_neox.layers.{layer}.mlp=mlp_out"]


@pytest.fixture
def received(texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ps.Run, Path]:
    """A run, as somebody sent it: its manifest allows everything, its suite brings code. And the mark of that code."""
    import huggingface_hub.constants
    import transformers.dynamic_module_utils as modules

    monkeypatch.setattr(modules, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    suite, mark = make_suite(tmp_path / "toy", ("tiny",), (1,), (0, 4)), tmp_path / "CODE-RAN"
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    for step in suite.glob("tiny/seed1/step*"):
        config = json.loads((step / "config.json").read_text())
        config |= {"model_type": "odd", "auto_map": {"AutoConfig": "odd.C", "AutoModelForCausalLM": "odd.M"}}
        (step / "config.json").write_text(json.dumps(config))
        (step / "odd.py").write_text(CODE.format(mark=str(mark)))
    manifest = json.loads((run.path / "run.json").read_text())
    allowed: dict[str, Any] = {"trust_remote_code": True, "engine": "nnsight"}
    manifest |= allowed
    manifest["asked"] |= allowed | {"modules": MODULES}
    run.folder.write_manifest(manifest)
    return ps.open_run(run.path), mark


def _compare(run: ps.Run, **how: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says which checkpoints were left out
        run.compare("steps", **how)


def _evaluate(run: ps.Run, **how: Any) -> None:
    from phasescope.visits.importing.evaluating import _results

    checkpoint = suite_of(run.manifest).checkpoints[0]
    _results(checkpoint, {"tasks": {}, "groups": {}}, Evaluation(("piqa",), **how))


WAYS: dict[str, Callable[..., object]] = {
    "visit": lambda run, **how: run.visit("minimal_pairs", **how),
    "compare": _compare,
    "layer": lambda run, **how: run.layer(1, "mlp_out").live(TEXT, **how).table(),
    "explore": lambda run, **how: _explored(How.of(run.manifest, **how)),
    "evaluate": _evaluate,
}


def _explored(how: How) -> None:
    from phasescope.visits.live.text import reader_of

    suite = how.suite()
    assert reader_of(suite, suite.sizes[-1], how.probes.trust_remote_code)


@pytest.mark.parametrize("way", WAYS)
def test_code_runs_only_where_this_call_says_so(way: str, received: tuple[ps.Run, Path]) -> None:
    run, mark = received
    try:
        WAYS[way](run)
    except PhasescopeError as error:
        assert "--trust-remote-code" in str(error)  # noqa: PT017  some ways go on without the checkpoint
    assert not mark.exists()


@pytest.mark.parametrize("way", ["visit", "compare", "layer", "explore"])
def test_and_does_where_it_does(way: str, received: tuple[ps.Run, Path]) -> None:
    run, mark = received
    WAYS[way](run, trust_remote_code=True)
    assert mark.exists()


def test_nothing_of_how_to_read_is_taken_but_type_and_modules(captured: Path) -> None:
    asked = {
        "dtype": "float16", "modules": MODULES, "trust_remote_code": True,
        "engine": "nnsight", "device": "cuda:7", "remote": True, "texts": "owner/name:train:text",
    }  # fmt: skip
    probes = probes_of({"asked": asked, "engine": "nnsight", "device": "cuda:7"})
    assert (probes.dtype, probes.modules) == ("float16", tuple(MODULES))
    assert (probes.engine, probes.device, probes.remote, probes.trust_remote_code) == ("torch", "auto", False, False)


@pytest.mark.parametrize("source", ["toy/tiny-seed1", "toy/tiny-seed{seed}", "pythia", "transformer_lens:attn-only-1l"])
def test_a_run_that_names_the_hub_makes_no_request(
    source: str, captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite_folder: Path
) -> None:
    folder = suite_folder / "tiny/seed1/step16"
    repositories = {"toy/tiny-seed1": Repository({"main": folder, "step16": folder})}
    with serving(repositories, tmp_path / "cache", monkeypatch) as hub:
        run = ps.open_run(Path(shutil.copytree(captured, tmp_path / "run")))
        run.manifest["source"] = source
        run.folder.write_manifest(run.manifest)
        for way in (name for name in WAYS if name != "evaluate"):
            live = lambda run: run.layer(1, "mlp_out", size="tiny").live(TEXT)  # noqa: E731
            with pytest.raises(PhasescopeError, match="nothing is fetched because a run says so"):
                (live if way == "layer" else WAYS[way])(run)
        assert hub.requests == []
        if source == "toy/tiny-seed1":  # and does where this call names it
            with pytest.raises(PhasescopeError, match="None of the 16 checkpoints"):
                suite_of(run.manifest, source)
            assert hub.requests


@pytest.mark.parametrize("size", ["../../elsewhere", "..", "a/b", ""])
def test_no_size_leads_out_of_the_run(size: str) -> None:
    with pytest.raises(PhasescopeError, match="would lead out of the folder of the run"):
        ShardKey(size, 1, 0)


def test_making_items_reads_with_what_this_call_trusts(received: tuple[ps.Run, Path]) -> None:
    run, mark = received
    making = Making(suite_of(run.manifest), run.inputs, probes_of(run.manifest))
    with pytest.raises(PhasescopeError, match="--trust-remote-code"):
        make_items(["noise=nucleus"], run.folder, making)
    assert not mark.exists()
