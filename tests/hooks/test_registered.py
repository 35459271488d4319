"""Architectures that others make known: by a call, or by an entry point of their package."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phasescope as ps
from phasescope.cli import app
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.hooks import Site, get_architecture, get_engine, registered
from phasescope.hooks.architectures import ARCHITECTURES
from phasescope.hooks.architectures.llamas import ARCEE
from phasescope.plugins.offered import forget
from tests.hooks import zoo

_PACKAGE = """
from dataclasses import replace
from phasescope.hooks.architectures.llamas import ARCEE
entry = replace(ARCEE, model_type="{name}")
"""


@pytest.fixture(autouse=True)
def without_arcee(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if Arcee were not known; what is registered is forgotten afterwards."""
    others = tuple(entry for entry in ARCHITECTURES if entry.model_type != "arcee")
    monkeypatch.setattr(registered, "ARCHITECTURES", others)
    monkeypatch.setattr(registered, "_added", [])
    forget()


def test_an_entry_that_was_registered_is_used_and_another_for_the_same_is_refused() -> None:
    model = zoo.make("Arcee")
    with pytest.raises(PhasescopeError, match="does not know where the sites of a 'arcee' model are"):
        get_architecture(model.config)
    ps.register(ARCEE)
    tokens, positions = zoo.batch()
    read = get_engine("torch").open(model).read(tokens, positions, [Site(1, "mlp_out")])
    assert read.activations[Site(1, "mlp_out")].shape == (8, 32)
    with pytest.raises(PhasescopeError, match="an entry for 'arcee' models, and there is one"):
        ps.register(ARCEE)
    with pytest.raises(PhasescopeError, match="an entry for 'llama' models, and there is one"):
        ps.register(replace(ARCEE, model_type="llama"))
    ps.register(replace(ARCEE, when={"mlp_bias": True}, matrices={}))
    assert not get_architecture(model.config).matrices
    with pytest.raises(PhasescopeError, match="is a str, not an Architecture"):
        ps.register("arcee")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["arcee", "llama"])
def test_a_package_makes_its_entries_known(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_models.py").write_text(_PACKAGE.format(name=name))
    info = tmp_path / "their_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[phasescope.architectures]\nown = their_models:entry\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "their_models", raising=False)
    config = zoo.make("Arcee").config
    if name == "llama":
        said = "passed over: their-models gives an entry for 'llama' models, and there is one"
        with (
            pytest.warns(PhasescopeWarning, match=said),
            pytest.raises(PhasescopeError, match="does not know where the sites of a 'arcee' model are"),
        ):
            get_architecture(config)
    else:
        assert get_architecture(config).model_type == "arcee"
    forget()


def test_the_table_is_printed_from_the_entries() -> None:
    ps.register(ARCEE)
    said = CliRunner().invoke(app, ["architectures"])
    assert said.exit_code == 0
    assert {entry.model_type for entry in registered.architectures()} <= set(said.stdout.split())
    said = CliRunner().invoke(app, ["architectures", "lfm2"])
    assert "self_attn.out_proj (what goes in)" in said.stdout
    assert "mixer.in_proj" in said.stdout
    said = CliRunner().invoke(app, ["architectures", "lama", "--json"])
    assert said.exit_code == 2
    assert "Did you mean" in said.stderr


def test_code_that_a_checkpoint_brings_for_a_known_type_is_not_taken_for_transformers_own() -> None:
    from transformers import LlamaConfig

    own = type("LlamaConfig", (LlamaConfig,), {"__module__": "transformers_modules.theirs.configuration"})
    config = own(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=61)
    with pytest.raises(PhasescopeError, match=r"brings code of its own for 'llama' models.*--module"):
        get_architecture(config)
    named = get_architecture(config, ["model.layers.{layer}.mlp=mlp_out"])
    assert named.components == ("mlp_out",)


def test_an_entry_that_does_not_fit_is_one_sentence() -> None:
    with pytest.raises(
        PhasescopeError, match=r"with .mlp_outs., and there is no such component\. Did you mean mlp_out"
    ):
        ps.register(replace(ARCEE, taps={"mlp_outs": ARCEE.taps["mlp_out"]}))
    ps.register(replace(ARCEE, layers="transformer.h"))
    tapped = ps.tap(zoo.make("Arcee"))
    tokens, positions = zoo.batch()
    fits = r"What is known of 'arcee' models does not fit this one .*transformer.*: put the entry right"
    with pytest.raises(PhasescopeError, match=fits):
        tapped.read(tokens, positions, "mlp_out")
    with pytest.raises(PhasescopeError, match=fits):
        tapped.weights()
