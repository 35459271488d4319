"""Mixtures of experts: what is read of the router and the experts' matrices is what the layer computes with."""

from __future__ import annotations

import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.hooks import Site, TappedModel, get_architecture, get_engine
from phasescope.hooks.projections import values_of
from phasescope.hooks.routing import Chosen, Experts, Given, by_experts
from phasescope.hooks.sampling import Sampler
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


MIXED = [name for name in zoo.MODELS if "expert_out" in get_architecture(zoo.make(name).config).components]
# A norm comes after what the mixture gives, or a dense MLP stands beside it.
NORMED = ("FlexOlmo", "Gemma 4, experts")


def of_chosen(name: str, dtype: torch.dtype = torch.float64) -> tuple[TappedModel, int, dict[str, torch.Tensor]]:
    """The last layer with experts, and what is read of its mixture at all positions."""
    tapped = get_engine("torch").open(zoo.make(name, dtype))
    entry = tapped.architecture
    last = max(layer for layer in range(tapped.n_layers) if entry.has(Site(layer, "expert_out")))
    sites = [Site(last, part) for part in ("routed", "mlp_post", "expert_out", "mlp_out")]
    read = tapped.read(zoo.batch()[0], None, sites).activations
    return tapped, last, {site.component: value for site, value in read.items()}


def test_every_mixture_shows_its_experts() -> None:
    with_routers = {name for name in zoo.MODELS if "router" in get_architecture(zoo.make(name).config).components}
    assert set(MIXED) == with_routers
    assert {*ALL, *NORMED, "DeepSeek V3", "Llama 4", "Nemotron-H"} <= with_routers


@pytest.mark.parametrize("name", MIXED)
def test_what_the_chosen_experts_write_is_what_the_mixture_adds(name: str) -> None:
    """Σ weight · expert_out, and what is beside the chosen, is mlp_out; each is the same that the module makes."""
    model = zoo.make(name, torch.float64)
    entry = get_architecture(model.config)
    last = max(layer for layer in range(len(entry.of_layers) or 2) if entry.has(Site(layer, "expert_out")))
    layer = entry.modules(model)[last]
    place = entry.in_layer(last).matrices["mlp.experts.W_out"].module
    block, made, given, beside = place.rpartition(".")[0], [], [], []
    layer.get_submodule(place).register_forward_hook(lambda _, inputs, output: made.append(output.flatten(0, -2)))
    for shared in ("shared_expert", "shared_experts"):
        if hasattr(layer.get_submodule(block), shared):
            inside = layer.get_submodule(f"{block}.{shared}")
            inside.register_forward_hook(lambda _, inputs, output: beside.append(output.flatten(0, -2).clone()))
    layer.get_submodule(block).register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    sites = [Site(last, part) for part in ("routed", "mlp_post", "expert_out", "mlp_out")]
    tokens = zoo.batch()[0]
    found = get_engine("torch").open(model).read(tokens, None, sites).activations
    routed, expert_out, mlp_out = (found[Site(last, part)] for part in ("routed", "expert_out", "mlp_out"))
    rows, _ = routed.nonzero(as_tuple=True)
    assert expert_out.shape == (22, 2, 32)
    assert torch.equal(rows, torch.arange(22).repeat_interleave(2))  # in every row as many as are chosen
    weights = routed[routed != 0].view(22, 2, 1).double()
    mixed = (expert_out if name == "Llama 4" else weights * expert_out).sum(1)
    scale = entry.in_layer(last).taps["mlp_out"].scale
    by_module = made[0].view(-1, 22, 32).sum(0) * (getattr(layer, scale) if scale else 1)
    # Routers compute in float32.
    torch.testing.assert_close(mixed, by_module.detach(), rtol=1e-5, atol=1e-5)
    if name in NORMED:
        return
    if beside:
        gate = getattr(layer.get_submodule(block), "shared_expert_gate", None)
        shared = beside[0] if gate is None else gate(given[0].flatten(0, -2)).sigmoid() * beside[0]
        mixed = mixed + shared.detach()
    torch.testing.assert_close(mlp_out, mixed, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name in MIXED if name != "Gemma 4, experts"])
def test_neurons_of_the_chosen_write_through_the_matrices_of_their_experts(name: str) -> None:
    tapped, last, read = of_chosen(name)
    numbers = read["routed"].nonzero()[:, 1].view(22, 2)
    W_out = tapped.weights()[f"blocks.{last}.mlp.experts.W_out"]
    written = torch.einsum("skn,sknd->skd", read["mlp_post"], W_out[numbers])
    layer = tapped.architecture.modules(tapped.model)[last]
    if name == "gpt-oss":
        written = written + layer.mlp.experts.down_proj_bias.detach()[numbers]
    scale = tapped.architecture.in_layer(last).taps["mlp_out"].scale
    written = written * getattr(layer, scale) if scale else written
    assert read["mlp_post"].shape == (22, 2, W_out.shape[1])
    torch.testing.assert_close(read["expert_out"], written, rtol=1e-10, atol=1e-10)
    assert tapped.architecture.axes(Site(last, "mlp_post")) == ("chosen", "d_mlp")
    assert tapped.architecture.axes(Site(last, "expert_out")) == ("chosen", "d_model")


def test_experts_of_weight_0_come_last() -> None:
    """So that the others are in the order of the weights above 0, whatever the numbers of those without."""
    tokens = torch.randn(3, 4, dtype=torch.float64)
    numbers, weights = torch.tensor([[4, 0, 2], [1, 3, 0], [2, 4, 3]]), torch.tensor([[0.2, 0.0, 0.8]] * 3)
    given = Chosen("", "input").given((tokens, numbers, weights), torch.nn.Module(), Sampler(torch.arange(3)[None], 3))
    assert given.numbers.tolist() == [[2, 4, 0], [0, 1, 3], [2, 3, 4]]
    assert torch.equal(given.tokens[1], tokens[1].expand(3, -1))


def test_experts_without_a_known_activation_function_are_named() -> None:
    layer = torch.nn.Module()
    layer.experts = torch.nn.Module()
    layer.experts.up, layer.experts.down = (torch.nn.Parameter(torch.ones(2, 3, 3)) for _ in range(2))
    given = Given(torch.ones(1, 1, 3), torch.tensor([[1]]))
    with pytest.raises(PhasescopeError, match=r"\(Module\) have no activation function .* leave expert_out"):
        by_experts(layer, Experts("experts", "up"), Experts("experts", "down"), given, neurons=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_experts_are_read_in_half_precision(dtype: torch.dtype) -> None:
    _, _, exact = of_chosen("OLMoE")
    tapped = get_engine("torch").open(zoo.make("OLMoE", torch.float64))
    tapped.model.to(dtype)
    read = tapped.read(zoo.batch()[0], None, ["L1.expert_out", "L1.routed"])
    assert read["L1.expert_out"].dtype == dtype
    same = ((read["L1.routed"] != 0) == (exact["routed"] != 0)).all(1)
    assert int(same.sum()) > 15  # others were close calls of the router
    off = (read["L1.expert_out"].double() - exact["expert_out"])[same].abs().max() / exact["expert_out"].abs().max()
    assert float(off) < 0.1  # rounding of 3 or 8 significant bits through two layers


def test_engines_show_the_same_of_experts() -> None:
    model, tokens = zoo.make("Qwen3, experts and dense"), zoo.batch()[0]
    first, second = (get_engine(name).open(model).read(tokens, None, "expert_out") for name in ("torch", "nnsight"))
    torch.testing.assert_close(first["L1.expert_out"], second["L1.expert_out"])
    with pytest.raises(PhasescopeError, match=r"no L0\.expert_out in this qwen3_moe model"):
        get_engine("torch").open(model).read(tokens, None, "L0.expert_out")


def test_a_token_that_the_router_drops_has_no_expert() -> None:
    """As transformers says it: an expert beyond the last, which the experts pass over."""
    model, (tokens, _) = zoo.make("OLMoE", torch.float64), zoo.batch()

    def drop(_module: torch.nn.Module, _inputs: object, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        logits, weights, numbers = output
        numbers = numbers.clone()
        numbers[3] = numbers[7, 0] = 5
        return logits, weights, numbers

    model.model.layers[1].mlp.gate.register_forward_hook(drop)
    read = get_engine("torch").open(model).read(tokens, None, ["L1.routed", "L1.expert_out", "L1.mlp_out"])
    counts = (read["L1.routed"] != 0).sum(-1)
    assert counts[[2, 3, 7]].tolist() == [2, 0, 1]
    assert not read["L1.mlp_out"][3].any()
    assert not read["L1.expert_out"][3].any()
    rows, _ = read["L1.routed"].nonzero(as_tuple=True)
    mixed = torch.zeros_like(read["L1.mlp_out"])
    place = torch.cat([torch.arange(count) for count in counts.tolist()])
    weights = read["L1.routed"][read["L1.routed"] != 0].double()
    mixed.index_add_(0, rows, weights[:, None] * read["L1.expert_out"][rows, place])
    torch.testing.assert_close(mixed, read["L1.mlp_out"], rtol=1e-5, atol=1e-5)


def test_experts_of_unequal_shapes_are_said() -> None:
    layer = torch.nn.Module()
    layer.experts = torch.nn.Module()
    layer.experts.up = torch.nn.Parameter(torch.ones(2, 3))
    with pytest.raises(PhasescopeError, match=r"experts\.up has the shape \[2, 3\], and is no stack of equal matrices"):
        Experts("experts", "up").matrices(layer, values_of)
