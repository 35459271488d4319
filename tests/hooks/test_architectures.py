from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import AutoConfig, PreTrainedModel

from phasescope.errors import PhasescopeError
from phasescope.hooks import COMPONENTS, Site, get_architecture, get_engine

Build = Callable[..., PreTrainedModel]
# Components of other kinds of layers.
ELSEWHERE = {"mixer_out", "router", "routed", "expert_out", "sink"}
Batch = tuple[torch.Tensor, torch.Tensor]


def test_parallel_blocks_have_no_resid_mid_and_say_why(build: Build, batch: Batch) -> None:
    tapped = get_engine("torch").open(build(parallel=True))
    assert set(tapped.components()) == set(COMPONENTS) - {"resid_mid", *ELSEWHERE}
    with pytest.raises(PhasescopeError, match=r"no resid_mid in this gpt_neox model: .* in parallel"):
        tapped.read(*batch, [Site(0, "resid_mid")])


def test_sequential_blocks_have_every_component(build: Build) -> None:
    assert set(get_engine("torch").open(build(parallel=False)).components()) == set(COMPONENTS) - ELSEWHERE


def test_an_unknown_architecture_is_named() -> None:
    with pytest.raises(PhasescopeError, match=r"'codegen' model .*--module .*transformer\.h\.\{layer\}\.mlp,"):
        get_architecture(AutoConfig.for_model("codegen", n_layer=2, n_embd=32, n_head=4, rotary_dim=4))


def test_weights_have_transformer_lens_names_and_shapes(build: Build) -> None:
    weights = get_engine("torch").open(build()).weights()
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    assert len(shapes) == 3 * 6 + 2
    assert shapes["embed.W_E"] == (61, 40)
    assert shapes["unembed.W_U"] == (40, 61)
    assert {shapes[f"blocks.2.attn.W_{letter}"] for letter in "QKV"} == {(5, 40, 8)}
    assert shapes["blocks.2.attn.W_O"] == (5, 8, 40)
    assert shapes["blocks.2.mlp.W_in"] == (40, 56)
    assert shapes["blocks.2.mlp.W_out"] == (56, 40)


def test_weights_are_views_without_gradient(build: Build) -> None:
    model = build()
    held = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    for name, tensor in get_engine("torch").open(model).weights().items():
        assert tensor.untyped_storage().data_ptr() in held, name
        assert not tensor.requires_grad, name


def test_weights_do_what_the_forward_pass_does(build: Build, batch: Batch) -> None:
    """Every named weight, put into the formula that its name stands for, gives the activation that was read."""
    model = build(parallel=False, dtype=torch.float64)
    tapped = get_engine("torch").open(model)
    tokens, positions = batch
    sites = [Site(1, component) for component in ("resid_pre", "ov_out", "z", "attn_out", "mlp_post", "mlp_out")]
    reading = tapped.read(tokens, positions, [Site(0, "resid_pre"), *sites], final_hidden=True)
    read = {site.component: value for site, value in reading.activations.items() if site.layer == 1}
    weights = tapped.weights()
    layer = model.base_model.layers[1]
    with torch.no_grad():
        made = {
            "attn_out": torch.einsum("shd,hdm->sm", read["z"], weights["blocks.1.attn.W_O"])
            + layer.attention.dense.bias,
            "mlp_out": read["mlp_post"] @ weights["blocks.1.mlp.W_out"] + layer.mlp.dense_4h_to_h.bias,
            "mlp_post": layer.mlp.act(
                layer.post_attention_layernorm(read["resid_pre"] + read["attn_out"]) @ weights["blocks.1.mlp.W_in"]
                + layer.mlp.dense_h_to_4h.bias
            ),
        }
        logits = model(tokens).logits
    # float64 on both sides: only the order of additions differs.
    for component, value in made.items():
        torch.testing.assert_close(read[component], value, rtol=1e-10, atol=1e-10)
    embedded = weights["embed.W_E"][tokens.gather(1, positions).flatten()]
    assert torch.equal(reading.activations[Site(0, "resid_pre")], embedded)
    assert reading.final_hidden is not None
    torch.testing.assert_close(reading.final_hidden @ weights["unembed.W_U"], logits, rtol=1e-10, atol=1e-10)


def test_values_are_not_the_last_third_of_the_fused_projection(build: Build) -> None:
    """The fused projection is [head][q, k, v]: its last third mixes q, k and v of the last heads."""
    model = build()
    W_V = get_engine("torch").open(model).weights()["blocks.0.attn.W_V"]
    fused = model.base_model.layers[0].attention.query_key_value.weight.detach()
    by_head = torch.stack([fused[24 * head + 16 : 24 * head + 24].T for head in range(5)])
    assert torch.equal(W_V, by_head)
    last_third = fused[80:].unflatten(0, (5, 8)).mT
    assert not torch.allclose(W_V, last_third)


def test_a_model_without_a_head_has_no_unembedding(build: Build) -> None:
    weights = get_engine("torch").open(build().base_model).weights()
    assert "unembed.W_U" not in weights
    assert "embed.W_E" in weights
