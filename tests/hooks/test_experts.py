"""Mixtures of experts: what is read of the router and the experts' matrices is what the layer computes with."""

from __future__ import annotations

import pytest
import torch

from phasescope.hooks import Site, get_engine
from tests.hooks import zoo

# With SiLU and no expert that all tokens share.
PLAIN = ("OLMoE", "Mixtral", "Qwen3, experts", "Granite, experts", "Phi-3.5, experts", "Jamba")
ALL = (*PLAIN, "Qwen2, experts", "FlexOlmo", "gpt-oss")


def last_layer(name: str) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], torch.Tensor, torch.nn.Module]:
    """In float64: the components at all positions, the weights, what goes into the mixture, and the mixture."""
    tapped = get_engine("torch").open(zoo.make(name, torch.float64))
    tokens, _ = zoo.batch()
    positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
    last = max(layer for layer in range(tapped.n_layers) if tapped.architecture.has(Site(layer, "router")))
    layer, given = tapped.architecture.modules(tapped.model)[last], []
    block = layer.get_submodule(tapped.architecture.taps["router"].module.rpartition(".")[0])
    block.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0].flatten(0, 1)))
    sites = [Site(last, component) for component in ("router", "routed", "mlp_out")]
    read = tapped.read(tokens, positions, sites).activations
    weights = {
        weight.removeprefix(f"blocks.{last}.mlp."): value
        for weight, value in tapped.weights().items()
        if weight.startswith(f"blocks.{last}.mlp.")
    }
    return {site.component: value for site, value in read.items()}, weights, given[0].detach(), block


@pytest.mark.parametrize("name", ALL)
def test_the_router_chooses_the_most_probable_experts(name: str) -> None:
    read, weights, given, _ = last_layer(name)
    assert read["router"].shape == read["routed"].shape == (22, 5)
    torch.testing.assert_close(read["router"].double().sum(-1), torch.ones(22, dtype=torch.float64))
    assert ((read["routed"] > 0).sum(-1) == 2).all()
    chosen = read["router"].topk(2).indices.sort(-1).values
    assert torch.equal(chosen, read["routed"].topk(2).indices.sort(-1).values)
    bias = 0 if name != "gpt-oss" else None
    if bias == 0:
        torch.testing.assert_close(
            read["router"].double(), (given @ weights["W_router"]).softmax(-1), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", PLAIN)
def test_experts_add_up_to_what_the_mixture_adds(name: str) -> None:
    read, weights, given, _ = last_layer(name)
    gate, up, out = (weights[f"experts.W_{part}"] for part in ("gate", "in", "out"))
    assert gate.shape == up.shape == (5, 32, out.shape[1])
    neurons = torch.nn.functional.silu(torch.einsum("sd,edn->sen", given, gate))
    written = torch.einsum("sen,end->sed", neurons * torch.einsum("sd,edn->sen", given, up), out)
    mixed = torch.einsum("se,sed->sd", read["routed"].double(), written)
    scale = 0.4 if name.startswith("Granite") else 1
    # Routers compute in float32.
    torch.testing.assert_close(read["mlp_out"], mixed * scale, rtol=1e-5, atol=1e-5)


def test_gate_and_up_projection_of_gpt_oss_alternate() -> None:
    read, weights, given, block = last_layer("gpt-oss")
    experts = block.experts
    gate, up = (
        torch.einsum("sd,edn->sen", given, weights[f"experts.W_{part}"])
        + experts.gate_up_proj_bias[:, first::2].detach()
        for first, part in enumerate(("gate", "in"))
    )
    gate, up = gate.clamp(max=experts.limit), up.clamp(-experts.limit, experts.limit)
    neurons = (up + 1) * gate * torch.sigmoid(gate * experts.alpha)
    written = torch.einsum("sen,end->sed", neurons, weights["experts.W_out"]) + experts.down_proj_bias.detach()
    torch.testing.assert_close(
        read["mlp_out"], torch.einsum("se,sed->sd", read["routed"], written), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("name", ["Qwen2, experts", "Qwen3-Next", "Qwen3.5, experts"])
def test_the_expert_that_all_tokens_share_is_apart(name: str) -> None:
    read, weights, given, block = last_layer(name)
    gate, up, out = (weights[f"shared.W_{part}"] for part in ("gate", "in", "out"))
    shared = (torch.nn.functional.silu(given @ gate) * (given @ up)) @ out
    with torch.no_grad():
        shared = torch.sigmoid(block.shared_expert_gate(given)) * shared
    gate, up, out = (weights[f"experts.W_{part}"] for part in ("gate", "in", "out"))
    neurons = torch.nn.functional.silu(torch.einsum("sd,edn->sen", given, gate))
    written = torch.einsum("sen,end->sed", neurons * torch.einsum("sd,edn->sen", given, up), out)
    mixed = torch.einsum("se,sed->sd", read["routed"].double(), written) + shared
    torch.testing.assert_close(read["mlp_out"], mixed, rtol=1e-5, atol=1e-5)


def test_experts_of_llama_4_are_given_the_token_times_its_weight() -> None:
    read, weights, given, _ = last_layer("Llama 4")
    assert ((read["routed"] > 0).sum(-1) == 2).all()
    torch.testing.assert_close(read["router"], (given @ weights["W_router"]).sigmoid().float())
    scaled = read["routed"][:, :, None] * given[:, None]
    gate, up = (torch.einsum("sed,edn->sen", scaled, weights[f"experts.W_{part}"]) for part in ("gate", "in"))
    mixed = torch.einsum("sen,end->sd", torch.nn.functional.silu(gate) * up, weights["experts.W_out"])
    gate, up = (given @ weights[f"shared.W_{part}"] for part in ("gate", "in"))
    shared = (torch.nn.functional.silu(gate) * up) @ weights["shared.W_out"]
    torch.testing.assert_close(read["mlp_out"], mixed + shared, rtol=1e-5, atol=1e-5)


def test_experts_of_nemotron_h_have_no_gate() -> None:
    read, weights, given, _ = last_layer("Nemotron-H")
    neurons = torch.einsum("sd,edn->sen", given, weights["experts.W_in"]).relu().square()
    written = torch.einsum("sen,end->sed", neurons, weights["experts.W_out"])
    shared = (given @ weights["shared.W_in"]).relu().square() @ weights["shared.W_out"]
    mixed = torch.einsum("se,sed->sd", read["routed"].double(), written) + shared
    torch.testing.assert_close(read["mlp_out"], mixed, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["OLMoE", "gpt-oss"])
def test_matrices_of_experts_are_views(name: str) -> None:
    model = zoo.make(name)
    held = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    weights = get_engine("torch").open(model).weights()
    assert all(value.untyped_storage().data_ptr() in held for weight, value in weights.items() if ".experts." in weight)
