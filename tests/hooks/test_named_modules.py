"""Modules that users name by path: read where they give one vector for every position, refused where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import OlmoeConfig, OlmoeForCausalLM, PreTrainedModel

from phasescope.errors import PhasescopeError
from phasescope.hooks import Site, get_engine
from phasescope.hooks.nnsight_remote import RemoteModel
from tests.conftest import make_tokenizer
from tests.hooks import zoo

ENGINES = ("torch", "nnsight")
WAYS = ("order", "positions first", "backwards")


def mixture(implementation: str | None = None, top_k: int = 2) -> PreTrainedModel:
    torch.manual_seed(3)
    config = OlmoeConfig(
        vocab_size=zoo.VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_experts=4,
        num_experts_per_tok=top_k,
        pad_token_id=0,
        eos_token_id=0,
        **({"experts_implementation": implementation} if implementation else {}),
    )
    return OlmoeForCausalLM(config).eval()


class Flat(nn.Module):
    """An MLP that puts the positions of a batch side by side: in order, or by position first, or backwards."""

    def __init__(self, width: int, way: str) -> None:
        super().__init__()
        self.inner, self.way = nn.Linear(width, width), way

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        turned = {"order": hidden, "positions first": hidden.transpose(0, 1), "backwards": hidden.flip(1)}[self.way]
        made = self.inner(turned.flatten(0, 1)).unflatten(0, turned.shape[:2])
        return {"order": made, "positions first": made.transpose(0, 1), "backwards": made.flip(1)}[self.way]


def read(engine: str, model: PreTrainedModel, module: str, *sites: Site) -> dict[Site, torch.Tensor]:
    tokens, positions = zoo.batch()
    return get_engine(engine).open(model, [module]).read(tokens, positions, sites).activations


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("top_k", [1, 2])
def test_rows_of_a_router_are_positions_and_rows_inside_experts_are_not(engine: str, top_k: int) -> None:
    model = mixture(top_k=top_k)
    site = Site(1, "mlp_post")
    router = read(engine, model, "model.layers.{layer}.mlp.gate=mlp_post", site)[site]
    into = read(engine, model, "model.layers.{layer}.mlp:input=mlp_post", site)[site]
    # What the router multiplies, taken from a tensor with a batch and a position axis: the order of additions differs.
    torch.testing.assert_close(router, into @ model.model.layers[1].mlp.gate.weight.T, rtol=1e-5, atol=1e-6)
    with pytest.raises(PhasescopeError, match=r"mlp\.experts\.act_fn, named as L1\.mlp_post, does not give one vector"):
        read(engine, model, "model.layers.{layer}.mlp.experts.act_fn=mlp_post", site)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_module_that_is_called_for_each_expert_is_refused(engine: str) -> None:
    module = "model.layers.{layer}.mlp.experts.act_fn=mlp_post"
    with pytest.raises(PhasescopeError, match=r"is met \d times in one forward pass"):
        read(engine, mixture("eager"), module, Site(0, "mlp_post"))


def test_both_engines_say_the_same_of_a_module_that_is_never_called() -> None:
    said = []
    for engine in ENGINES:
        with pytest.raises(
            PhasescopeError, match=r"without reaching L0\.mixer_out: .*conv1d is never called"
        ) as caught:
            read(engine, zoo.make("Mamba"), "backbone.layers.{layer}.mixer.conv1d=mixer_out", Site(0, "mixer_out"))
        said.append(str(caught.value))
    assert said[0] == said[1]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_not_called_although_the_architecture_says_so_is_one_sentence(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo.make("GPT-2")
    tapped = get_engine(engine).open(model)
    # As a later transformers might have it.
    for own in (model, getattr(tapped, "_twin", model)):
        monkeypatch.setattr(own.transformer.h[1], "forward", lambda hidden, *_, **__: hidden)
    with pytest.raises(PhasescopeError, match=r"without reaching L1\.attn_out"):
        tapped.read(*zoo.batch(), [Site(0, "attn_out"), Site(1, "attn_out")])


@pytest.mark.parametrize("engine", ENGINES)
def test_one_vector_for_each_head_is_not_one_for_each_position(engine: str) -> None:
    with pytest.raises(PhasescopeError, match=r"q_norm, named as L0\.attn_out, does not give one vector"):
        read(engine, zoo.make("Qwen3"), "model.layers.{layer}.self_attn.q_norm=attn_out", Site(0, "attn_out"))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("name", "way"),
    # Backwards within each sequence is seen in models that read from left to right alone: of others it is not asked.
    [
        ("GPT-2", "order"),
        ("GPT-2", "positions first"),
        ("GPT-2", "backwards"),
        ("BERT", "order"),
        ("BERT", "positions first"),
    ],
)
def test_rows_side_by_side_are_read_if_they_are_in_order(engine: str, name: str, way: str) -> None:
    model, layers = zoo.make(name), {"GPT-2": "transformer.h", "BERT": "bert.encoder.layer"}[name]
    for layer in model.get_submodule(layers):
        if name == "BERT":
            layer.intermediate.dense = Flat(32, way)
            layer.output.dense = nn.Linear(32, 32)
        else:
            layer.mlp = Flat(32, way)
    path = "intermediate.dense" if name == "BERT" else "mlp"
    module, site = f"{layers}.{{layer}}.{path}.inner=mlp_post", Site(1, "mlp_post")
    if way != "order":
        with pytest.raises(PhasescopeError, match="does not give one vector for every position"):
            read(engine, model, module, site)
        return
    whole = read(engine, model, f"{layers}.{{layer}}.{path}=mlp_post", site)[site]
    torch.testing.assert_close(read(engine, model, module, site)[site], whole, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_is_no_other_order(dtype: torch.dtype) -> None:
    model = mixture().to(dtype)
    site = Site(1, "mlp_post")
    assert read("torch", model, "model.layers.{layer}.mlp.gate=mlp_post", site)[site].dtype == dtype


def test_sites_are_read_in_the_order_in_which_they_are_reached(recwarn: pytest.WarningsRecorder) -> None:
    """`mlp_post` is named at a place before the attention, where no table expects it."""
    model, sites = zoo.make("GPT-2"), [Site(0, "mlp_post"), Site(1, "attn_out"), Site(0, "attn_out")]
    found = [read(engine, model, "transformer.h.{layer}.ln_1=mlp_post", *sites) for engine in ENGINES]
    for site in sites:
        torch.testing.assert_close(found[0][site], found[1][site], rtol=1e-5, atol=1e-6)


def test_a_server_refuses_rows_whose_order_cannot_be_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nnsight.ndif.pull_env", lambda: None)
    model = zoo.make("OPT")
    model.save_pretrained(tmp_path)
    site, (tokens, positions) = Site(0, "mlp_out"), zoo.batch()

    def remote(module: str) -> RemoteModel:
        return RemoteModel(str(tmp_path), None, model.config, make_tokenizer(), modules=[module], server="local")

    layer = remote("model.decoder.layers.{layer}=mlp_out").read(tokens, positions, [site]).activations[site]
    wanted = get_engine("torch").open(model).read(tokens, positions, [Site(0, "resid_post")]).activations
    torch.testing.assert_close(layer, wanted[Site(0, "resid_post")], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"fc1 gives \[22, 48\] for 2 sequences of 11 tokens"):
        remote("model.decoder.layers.{layer}.fc1=mlp_out").read(tokens, positions, [site])
