"""Entries that are proposed, beside those that are known; and one of a family that is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from phasescope.cli import app
from phasescope.errors import PhasescopeError
from phasescope.hooks import Architecture, get_architecture, registered
from phasescope.hooks.checks import checks, probed
from phasescope.hooks.proposing import propose
from phasescope.hooks.tiny import tiny_model
from tests.hooks import zoo


def proposed(model_type: str) -> tuple[Architecture, Architecture]:
    """The first entry whose checks all hold, engines apart; and the one that is known."""
    model = tiny_model(model_type)
    tokens = torch.randint(1, 61, (2, 11), generator=torch.Generator().manual_seed(1))
    for entry in propose(model, tokens):
        if all(check.holds for check in checks(entry, model, tokens) if "engine" not in check.what):
            return entry, get_architecture(model.config)
    raise AssertionError(f"no entry of {model_type} holds")


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "phi3", "opt"])
def test_what_is_proposed_of_a_known_family_is_what_is_known(model_type: str) -> None:
    entry, known = proposed(model_type)
    assert entry.layers == known.layers
    # MLPs of OPT are one module or another: what comes out is the same.
    assert {name: tap.side for name, tap in entry.taps.items()} == {name: tap.side for name, tap in known.taps.items()}
    assert entry.attention == known.attention
    assert dict(entry.matrices) == dict(known.matrices)
    assert entry.positions is known.positions
    assert entry.taps["z"] == known.taps["z"]


def test_a_layer_that_is_one_mixer() -> None:
    entry, _ = proposed("mamba")
    assert entry.components == ("resid_pre", "mixer_out", "resid_post")


def test_an_unknown_family_is_proposed_and_can_be_registered() -> None:
    shown = CliRunner().invoke(app, ["probe-architecture", "biogpt"])
    assert shown.exit_code == 0
    assert "biogpt: proposed" in shown.stdout
    code = shown.stdout[shown.stdout.index("import phasescope") :]
    before = list(registered._added)
    try:
        exec(code, {})
        entry = get_architecture(tiny_model("biogpt").config)
        assert entry.attention is not None
        assert entry.taps["mlp_post"].module == "fc2"
    finally:
        registered._added[:] = before


def test_a_folder_and_a_known_family(tmp_path: Path) -> None:
    tiny_model("gpt_neox").config.save_pretrained(tmp_path)
    found = probed(str(tmp_path))
    assert found.known
    assert all(check.holds for check in found.checks)
    assert found.as_record()["model_type"] == "gpt_neox"


def test_what_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"knows no model type 'lama'\. Did you mean llama"):
        tiny_model("lama")
    with pytest.raises(PhasescopeError, match=r"no config\.json that transformers can read"):
        tiny_model(str(tmp_path))


def test_of_a_mixture_all_but_its_experts_is_proposed() -> None:
    """Of a family whose first layer is dense: matrices that not all layers have are left out."""
    found = probed("ernie4_5_moe")
    assert not found.known
    failed = {check.what: check.why for check in found.checks if not check.holds and "engine" not in check.what}
    assert list(failed) == ["experts"]
    assert "mlp.experts holds matrices of 64 experts (gate_up_proj, down_proj)" in failed["experts"]
    assert {"attn_out", "mlp_out", "z"} <= set(found.entry.components)
    assert not found.entry.matrices
    assert "mlp_post" not in found.entry.components


def test_layers_that_differ_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasescope.hooks.registered.ARCHITECTURES", ())
    model = zoo.make("LFM2", torch.float64)
    with pytest.raises(PhasescopeError, match=r"layers of a lfm2 model differ: there is no self_attn\S* in layer 0"):
        propose(model, zoo.batch()[0])
