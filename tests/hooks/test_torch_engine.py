"""The default engine against GPT-NeoX written out from scratch, and its manners."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from phasescope.errors import PhasescopeError
from phasescope.hooks import Site, get_engine, select_sites

Build = Callable[..., PreTrainedModel]
Batch = tuple[Tensor, Tensor]


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * weight + bias


def rotate(x: Tensor, dims: int, base: float) -> Tensor:
    """Turn the first `dims` of [batch, position, head, d_head]: dimension i goes with dimension i + dims/2."""
    half = dims // 2
    # The model computes angles in float32, whatever its own precision is: that is part of its definition.
    speed = 1 / base ** (torch.arange(0, dims, 2).float() / dims)
    angle = torch.arange(x.shape[1]).float()[:, None] * speed
    cos, sin = (part[:, None].to(x) for part in (angle.cos(), angle.sin()))
    first, second, rest = x[..., :half], x[..., half:dims], x[..., dims:]
    return torch.cat([first * cos - second * sin, second * cos + first * sin, rest], dim=-1)


def gpt_neox(model: PreTrainedModel, tokens: Tensor) -> dict[str, Tensor]:
    """Every site of a small GPT-NeoX at every position, `[batch, position, ...]`, from its raw tensors only."""
    state, heads, d_head = model.base_model.state_dict(), 5, 8
    x, seen = state["embed_in.weight"][tokens], dict[str, Tensor]()
    future = torch.ones(tokens.shape[1], tokens.shape[1], dtype=torch.bool).triu(1)
    for number in range(3):
        get = {
            name.removeprefix(f"layers.{number}."): value
            for name, value in state.items()
            if name.startswith(f"layers.{number}.")
        }
        normed = layer_norm(x, get["input_layernorm.weight"], get["input_layernorm.bias"])
        rows = get["attention.query_key_value.weight"].reshape(heads, 3, d_head, 40)
        offset = get["attention.query_key_value.bias"].reshape(heads, 3, d_head)
        q, k, v = (torch.einsum("bpm,hdm->bphd", normed, rows[:, i]) + offset[:, i] for i in range(3))
        q, k = rotate(q, 4, 500.0), rotate(k, 4, 500.0)
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k) / d_head**0.5
        pattern = scores.masked_fill(future, -torch.inf).softmax(-1)
        z = torch.einsum("bhqk,bkhd->bqhd", pattern, v)
        W_O = get["attention.dense.weight"].reshape(40, heads, d_head)
        attn_out = torch.einsum("bphd,mhd->bpm", z, W_O) + get["attention.dense.bias"]
        mid = x if model.config.use_parallel_residual else x + attn_out
        normed = layer_norm(mid, get["post_attention_layernorm.weight"], get["post_attention_layernorm.bias"])
        pre = torch.einsum("bpm,nm->bpn", normed, get["mlp.dense_h_to_4h.weight"]) + get["mlp.dense_h_to_4h.bias"]
        mlp_post = pre * 0.5 * (1 + torch.erf(pre / 2**0.5))
        mlp_out = torch.einsum("bpn,mn->bpm", mlp_post, get["mlp.dense_4h_to_h.weight"])
        mlp_out = mlp_out + get["mlp.dense_4h_to_h.bias"]
        seen |= {
            f"L{number}.resid_pre": x,
            f"L{number}.ov_out": torch.einsum("bphd,mhd->bphm", v, W_O),
            f"L{number}.pattern": pattern.transpose(1, 2),
            f"L{number}.z": z,
            f"L{number}.attn_out": attn_out,
            f"L{number}.resid_mid": mid,
            f"L{number}.mlp_post": mlp_post,
            f"L{number}.mlp_out": mlp_out,
            f"L{number}.resid_post": (x := x + attn_out + mlp_out),
        }
    seen["final"] = layer_norm(x, state["final_layer_norm.weight"], state["final_layer_norm.bias"])
    return seen


@pytest.mark.parametrize("parallel", [True, False])
def test_every_site_is_what_gpt_neox_computes(build: Build, batch: Batch, parallel: bool) -> None:
    model = build(parallel=parallel, dtype=torch.float64)
    tapped = get_engine("torch").open(model)
    tokens, positions = batch
    right = gpt_neox(model, tokens)
    sequences = torch.arange(2)[:, None]
    # Attention that shows its pattern takes its softmax in float32 (transformers' choice), so sites are read apart.
    fused = [name for name in tapped.components() if name != "pattern"]
    for components, tolerance in [(fused, 1e-11), (["pattern"], 1e-6)]:
        sites = select_sites(components, 3)
        reading = tapped.read(tokens, positions, sites, final_hidden=True)
        assert set(reading.activations) == set(sites)
        for site in sites:
            wanted = right[site.short][sequences, positions].flatten(0, 1)
            got = reading.activations[site]
            assert got.shape == wanted.shape, site
            assert (got - wanted).abs().max() <= tolerance * wanted.abs().max(), site
        assert reading.final_hidden is not None
        assert (reading.final_hidden - right["final"]).abs().max() <= tolerance * right["final"].abs().max()


def test_ov_out_is_the_position_s_own_value_and_its_sum_is_attention_to_itself(build: Build) -> None:
    """With one token only, all attention goes to itself: the heads' OV outputs and the bias make attn_out."""
    model = build(dtype=torch.float64)
    reading = (
        get_engine("torch")
        .open(model)
        .read(torch.tensor([[5]]), torch.tensor([[0]]), [Site(2, "ov_out"), Site(2, "attn_out")])
    )
    total = reading.activations[Site(2, "ov_out")].sum(1) + model.base_model.layers[2].attention.dense.bias
    torch.testing.assert_close(total.detach(), reading.activations[Site(2, "attn_out")], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_patterns_are_shown_and_the_attention_is_put_back(build: Build, batch: Batch, attention: str) -> None:
    model = build()
    model.set_attn_implementation(attention)
    pattern = get_engine("torch").open(model).read(*batch, [Site(1, "pattern")]).activations[Site(1, "pattern")]
    assert pattern.shape == (8, 5, 11)
    torch.testing.assert_close(pattern.sum(-1), torch.ones(8, 5))
    for sample, position in enumerate(batch[1].flatten().tolist()):
        assert (pattern[sample, :, position + 1 :] == 0).all()
    assert model.config._attn_implementation == attention


def test_the_forward_pass_ends_with_the_last_site(
    build: Build, batch: Batch, run_modules: Callable[[PreTrainedModel], list[str]]
) -> None:
    model = build()
    ran = run_modules(model)
    get_engine("torch").open(model).read(*batch, [Site(1, "attn_out"), Site(0, "mlp_out")])
    assert "gpt_neox.layers.0.mlp" in ran
    assert "gpt_neox.layers.1.attention.dense" in ran
    assert not any(name.startswith(("gpt_neox.layers.1.mlp", "gpt_neox.layers.2")) for name in ran)


def hooks_of(model: PreTrainedModel) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_hooks_are_gone_after_a_read_and_after_a_failure(build: Build, batch: Batch) -> None:
    model = build()
    tapped = get_engine("torch").open(model)
    sites = select_sites(["resid_pre", "pattern", "mlp_out"], 3)
    tapped.read(*batch, sites)
    assert hooks_of(model) == 0

    def fail(*_: object) -> None:
        raise RuntimeError("out of memory")

    handle = model.base_model.layers[1].mlp.register_forward_hook(fail)
    with pytest.raises(RuntimeError, match="out of memory"):
        tapped.read(*batch, sites)
    handle.remove()
    assert hooks_of(model) == 0
    assert model.config._attn_implementation == "sdpa"
    assert set(tapped.read(*batch, sites).activations) == set(sites)


def test_a_layer_that_is_never_reached_is_reported(build: Build, batch: Batch) -> None:
    model = build()
    tapped = get_engine("torch").open(model)
    model.base_model.layers[1].mlp.forward = lambda x: x  # a model whose MLP does not use its own parts
    with pytest.raises(PhasescopeError, match=r"without reaching L1\.mlp_post"):
        tapped.read(*batch, [Site(1, "mlp_post")])


def test_no_gradient_is_kept_and_samples_hold_no_more_than_themselves(build: Build, batch: Batch) -> None:
    tapped = get_engine("torch").open(build())
    with torch.enable_grad():
        reading = tapped.read(*batch, select_sites(tapped.components(), 3), final_hidden=True)
    for site, value in reading.activations.items():
        assert not value.requires_grad
        # A view would keep the whole batch in memory for as long as its samples are needed.
        assert value.untyped_storage().nbytes() <= value.nbytes, site
    assert reading.final_hidden is not None
    assert not reading.final_hidden.requires_grad


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_readings_have_the_model_s_precision(build: Build, batch: Batch, dtype: torch.dtype) -> None:
    tapped = get_engine("torch").open(build(dtype=dtype))
    reading = tapped.read(*batch, select_sites(tapped.components(), 3), final_hidden=True)
    assert {value.dtype for value in reading.activations.values()} == {dtype}
    assert reading.final_hidden is not None
    assert reading.final_hidden.dtype == dtype


def test_inputs_may_be_int32(build: Build, batch: Batch) -> None:
    tapped = get_engine("torch").open(build())
    tokens, positions = batch
    site = Site(2, "resid_post")
    short = tapped.read(tokens.int(), positions.int(), [site, site])
    assert torch.equal(short.activations[site], tapped.read(tokens, positions, [site]).activations[site])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_a_gpu_is_read_there(build: Build, batch: Batch) -> None:
    model = build(dtype=torch.float64)
    sites = select_sites(["ov_out", "pattern", "z", "mlp_out"], 3)
    on_cpu = get_engine("torch").open(model).read(*batch, sites)
    on_gpu = get_engine("torch").open(model.to("cuda")).read(*batch, sites)
    for site in sites:
        assert on_gpu.activations[site].is_cuda
        torch.testing.assert_close(on_gpu.activations[site].cpu(), on_cpu.activations[site], rtol=1e-6, atol=1e-6)
