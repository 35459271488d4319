"""Gradients against float64 autograd of the loss as one would write it down, and against differences of the loss."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, PreTrainedModel

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.hooks import get_architecture, get_engine
from phasescope.probes import Probes, record_gradients
from phasescope.probes.backward import Backward
from phasescope.probes.gradients import WHOLE
from phasescope.store import new_container, open_container
from phasescope.suites import Checkpoint
from phasescope.texts import Inputs

HEADS, LAYERS, VOCABULARY, ROWS = 3, 2, 50, 64
CHECKPOINT = Checkpoint("toy", "tiny", 1, 4, "nowhere")
Recorded = dict[str, np.ndarray]


def make_model(dtype: torch.dtype = torch.float32, **settings: Any) -> PreTrainedModel:
    """A GPT-NeoX model with dropout (which must not act), more rows than tokens, and no parameter at 0 or 1."""
    config = AutoConfig.for_model(
        "gpt_neox",
        **{
            "hidden_size": 24, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 40,
            "vocab_size": ROWS, "max_position_embeddings": 32, "hidden_dropout": 0.5, **settings,
        },
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator) + 0.03)
    return model.to(dtype)


def make_inputs(sequences: int = 7, context: int = 9) -> Inputs:
    tokens = np.random.default_rng(1).integers(VOCABULARY, size=(sequences, context)).astype(np.int32)
    return Inputs(
        tokens=tokens, positions=np.full((sequences, 1), context - 1, np.int32), word_ids=np.zeros_like(tokens),
        words=["a"], tags=None, counts=np.ones(VOCABULARY, np.int64), counts_source="", output_sequences=1,
        vocabulary=VOCABULARY, source="", seed=0,
    )  # fmt: skip


def record(model: PreTrainedModel, folder: Path, inputs: Inputs | None = None, **probes: Any) -> Recorded:
    """Everything in the group `gradients` of a shard that was written and read back."""
    asked = Probes(**{"gradients": "inputs", "gradient_sequences": 7, "gradient_batches": 3, "batch": 2, **probes})
    tapped = get_engine(asked.engine).open(model)
    path = folder / f"{len(list(folder.iterdir()))}.h5"
    with new_container(path, "shard", {}) as writer:
        record_gradients(tapped, CHECKPOINT, inputs or make_inputs(), asked, writer)
    with open_container(path, "shard") as shard:
        return {name.removeprefix("gradients/"): shard.read(name) for name in shard.names("gradients")}


def expected(model: PreTrainedModel, tokens: np.ndarray) -> tuple[float, dict[str, np.ndarray], list[torch.Tensor]]:
    """Loss, gradients by weight site, and gradients of all parameters, in float64 and in one piece."""
    twin = copy.deepcopy(model).double()
    ids = torch.from_numpy(tokens).long()
    log_probabilities = twin(ids).logits[:, :-1].log_softmax(-1)
    loss = -log_probabilities.gather(-1, ids[:, 1:, None]).mean()
    parameters = dict(twin.named_parameters())
    found = dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))
    d_head, width = 24 // HEADS, 24
    named = {"embed.W_E": found["gpt_neox.embed_in.weight"][:VOCABULARY]}
    head = "lm_head.weight" if "lm_head.weight" in found else "gpt_neox.embed_in.weight"
    named["unembed.W_U"] = found[head][:VOCABULARY].T
    for layer in range(LAYERS):
        module = f"gpt_neox.layers.{layer}"
        fused = found[f"{module}.attention.query_key_value.weight"].reshape(HEADS, 3, d_head, width)
        for part, letter in enumerate("QKV"):
            named[f"blocks.{layer}.attn.W_{letter}"] = fused[:, part].mT
        named[f"blocks.{layer}.attn.W_O"] = found[f"{module}.attention.dense.weight"].T.reshape(HEADS, d_head, width)
        named[f"blocks.{layer}.mlp.W_in"] = found[f"{module}.mlp.dense_h_to_4h.weight"].T
        named[f"blocks.{layer}.mlp.W_out"] = found[f"{module}.mlp.dense_4h_to_h.weight"].T
    return float(loss.detach()), {name: value.numpy() for name, value in named.items()}, list(found.values())


def inner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x.astype(np.float64) * y.astype(np.float64)).sum((-2, -1))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("parallel", [False, True])
def test_gradients_are_those_of_the_loss(tmp_path: Path, tied: bool, parallel: bool) -> None:
    model, inputs = make_model(tie_word_embeddings=tied, use_parallel_residual=parallel), make_inputs()
    found = record(model, tmp_path, keep_gradients=True)
    batches = [expected(model, tokens) for tokens in np.array_split(inputs.tokens, 3)]
    _, mean, parameters = expected(model, inputs.tokens)
    np.testing.assert_allclose(found["loss"], [loss for loss, _, _ in batches], rtol=1e-6)
    assert found["steps"].tolist() == [-1] * 3
    assert {name.removeprefix("matrices/") for name in found if name.startswith("matrices/")} == set(mean)
    for name, gradient in mean.items():
        # A float32 backward pass against one in float64.
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(found[f"matrices/{name}"], gradient, atol=1e-5 * scale, rtol=1e-4)
        spectrum = np.linalg.svd(gradient, compute_uv=False)
        np.testing.assert_allclose(found[f"spectra/{name}"], spectrum, atol=1e-5 * spectrum.max())
        each = [here[name] for _, here, _ in batches]
        np.testing.assert_allclose(found[f"norms/{name}"], np.sqrt([inner(g, g) for g in each]), rtol=1e-5)
        products = [inner(one, other) for one, other in zip(each[1:], each[:-1], strict=True)]
        lengths = found[f"norms/{name}"][1:] * found[f"norms/{name}"][:-1]
        assert (np.abs(found[f"products/{name}"] - products) <= 1e-5 * lengths).all()
    whole = [np.sqrt(sum(float((g**2).sum()) for g in flat)) for _, _, flat in batches]
    np.testing.assert_allclose(found[f"norms/{WHOLE}"], whole, rtol=1e-5)
    assert len(parameters) == len(list(model.parameters()))


def test_the_gradient_of_a_circuit_is_how_gradient_descent_changes_it(tmp_path: Path) -> None:
    """(A − ε G)(B − ε H) − A B, divided by −ε; spectra and norms of the products in full."""
    model, inputs = make_model(), make_inputs()
    found = record(model, tmp_path)
    weights = {name: value.double().numpy() for name, value in get_engine("torch").open(model).weights().items()}
    halves = [expected(model, tokens)[1] for tokens in np.array_split(inputs.tokens, 3)]
    mean = expected(model, inputs.tokens)[1]

    def change(gradients: dict[str, np.ndarray], left: str, right: str, transposed: bool) -> np.ndarray:
        A, B, G, H = weights[left], weights[right], gradients[left], gradients[right]
        B, H = (B.swapaxes(-1, -2), H.swapaxes(-1, -2)) if transposed else (B, H)
        step = 1e-6
        return (A @ B - (A - step * G) @ (B - step * H)) / step

    for block in ("blocks.0.attn", "blocks.1.attn"):
        for name, left, right in [("OV", "W_V", "W_O"), ("QK", "W_Q", "W_K")]:
            arguments = (f"{block}.{left}", f"{block}.{right}", name == "QK")
            spectrum = np.linalg.svd(change(mean, *arguments), compute_uv=False)[:, :16]
            # The difference leaves out ε G H, and loses digits: 1e-6 of the weights' product.
            np.testing.assert_allclose(found[f"spectra/{block}.{name}"], spectrum, atol=1e-5 * spectrum.max())
            each = [change(half, *arguments) for half in halves]
            norms = np.sqrt([inner(x, x) for x in each])
            np.testing.assert_allclose(found[f"norms/{block}.{name}"], norms, rtol=1e-5)
            products = np.array([inner(each[1], each[0]), inner(each[2], each[1])])
            assert (np.abs(found[f"products/{block}.{name}"] - products) <= 1e-5 * norms[1:] * norms[:-1]).all()


def test_gradients_tell_how_the_loss_changes(tmp_path: Path) -> None:
    """Along a random direction in the down projection: central differences of the loss, in float64."""
    model, inputs = make_model(torch.float64), make_inputs()
    gradient = record(model, tmp_path, keep_gradients=True)["matrices/blocks.1.mlp.W_out"].astype(np.float64)
    weight = model.gpt_neox.layers[1].mlp.dense_4h_to_h.weight
    ids = torch.from_numpy(inputs.tokens).long()
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    @torch.no_grad()
    def loss(step: float) -> float:
        weight.add_(step * direction)
        logits = model(ids[:, :-1]).logits
        weight.sub_(step * direction)
        return float(functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()))

    slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
    assert (gradient * direction.numpy().T).sum() == pytest.approx(slope, rel=1e-5)


def test_pieces_of_any_size_give_the_same(tmp_path: Path) -> None:
    model = make_model()
    one, many = (record(model, tmp_path, batch=batch, keep_gradients=True) for batch in (7, 1))
    for name, values in one.items():
        np.testing.assert_allclose(many[name], values, atol=2e-6 * np.abs(values).max(), rtol=1e-4)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 0.02), (torch.bfloat16, 0.15)])
def test_half_precision_models_are_added_up_in_float32(tmp_path: Path, dtype: torch.dtype, tolerance: float) -> None:
    """Of many small pieces: the error is that of the model's own rounding, relative to the norm, not of the sum."""
    model, inputs = make_model(dtype), make_inputs(sequences=64)
    asked = {"keep_gradients": True, "gradient_sequences": 64, "gradient_batches": 1, "batch": 1}
    found = record(model, tmp_path, inputs, **asked)
    for name, gradient in expected(model, inputs.tokens)[1].items():
        error = np.linalg.norm(found[f"matrices/{name}"] - gradient) / np.linalg.norm(gradient)
        assert error < tolerance, name


def test_gradients_too_small_or_too_large_for_float16(tmp_path: Path) -> None:
    """Scaled by 2^-14 their entries are below the smallest number of float16, by 2^9 the loss must be scaled less."""
    for factor in (2.0**-14, 2.0**9):
        model = make_model(torch.float16)
        with torch.no_grad():
            # The gradient of the last MLP's output goes through the final norm, whose gain is what scales it.
            model.gpt_neox.final_layer_norm.weight.mul_(factor)
            model.lm_head.weight.mul_(1 / 16)
        found = record(model, tmp_path, keep_gradients=True)
        name = "blocks.1.mlp.W_out"
        exact = expected(model, make_inputs().tokens)[1][name]
        error = np.linalg.norm(found[f"matrices/{name}"] - exact) / np.linalg.norm(exact)
        assert error < 0.05, factor


def test_equal_batches_have_cosine_1(tmp_path: Path) -> None:
    inputs = make_inputs(sequences=7)
    inputs.tokens[:] = inputs.tokens[0]
    found = record(make_model(), tmp_path, inputs, gradient_sequences=6)
    for name in [name for name in found if name.startswith("products/")]:
        norms = found[name.replace("products", "norms", 1)]
        np.testing.assert_allclose(found[name], norms[1:] * norms[:-1], rtol=1e-5)
    one = record(make_model(), tmp_path, inputs, gradient_sequences=6, gradient_batches=1)
    assert not any(name.startswith("products/") for name in one)
    assert one[f"norms/{WHOLE}"].shape == (1,)


def test_parts_without_gradient(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.gpt_neox.layers[1].attention.dense.weight.zero_()
    found = record(model, tmp_path)
    for site in ("attn.W_Q", "attn.W_K", "attn.W_V", "attn.QK"):
        assert (found[f"norms/blocks.1.{site}"] == 0).all()
        assert (found[f"spectra/blocks.1.{site}"] == 0).all()
    assert (found["norms/blocks.1.attn.W_O"] > 0).all()
    assert (found["spectra/blocks.1.attn.OV"][:, 0] > 0).all()


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "gpt2": {"n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 32},
    "llama": {"num_key_value_heads": 1, "intermediate_size": 40},
    "gemma2": {"num_key_value_heads": 1, "intermediate_size": 40, "head_dim": 8, "final_logit_softcapping": 1.5},
    "rwkv": {"attention_hidden_size": 24, "rescale_every": 1},
    "mamba": {"state_size": 4},
}


@pytest.mark.parametrize("model_type", ARCHITECTURES)
def test_gradients_of_other_architectures(tmp_path: Path, model_type: str) -> None:
    """Their norm over all parameters, and that of the down projection or what stands in its place."""
    common = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "vocab_size": ROWS}
    config = AutoConfig.for_model(model_type, **{**common, **ARCHITECTURES[model_type]})
    torch.manual_seed(0)
    model, inputs = AutoModelForCausalLM.from_config(config).eval(), make_inputs()
    twin = copy.deepcopy(model)
    if model_type == "rwkv":
        twin.config.rescale_every = 0  # which would not be what was trained
    ids = torch.from_numpy(inputs.tokens[:2]).long()
    functional.cross_entropy(twin(ids[:, :-1], use_cache=False).logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    squares = sum(float(parameter.grad.double().square().sum()) for parameter in twin.parameters())
    found = record(model, tmp_path, gradient_sequences=2, gradient_batches=1, keep_gradients=True)
    assert found[f"norms/{WHOLE}"][0] == pytest.approx(squares**0.5, rel=1e-4)
    named = get_architecture(config).weights(twin, lambda parameter: parameter.grad)
    assert set(named) == {name.removeprefix("matrices/") for name in found if name.startswith("matrices/")}
    for name, gradient in named.items():
        expected = gradient.numpy()
        expected = expected[:VOCABULARY] if name == "embed.W_E" else expected
        expected = expected[:, :VOCABULARY] if name == "unembed.W_U" else expected
        np.testing.assert_allclose(found[f"matrices/{name}"], expected, atol=1e-5 * np.abs(expected).max(), rtol=1e-3)
    circuits = {name for name in found if name.endswith((".OV", ".QK"))}
    assert bool(circuits) == (model_type not in ("rwkv", "mamba"))


@pytest.mark.parametrize("engine", ["transformer_lens", "nnsight"])
def test_every_engine_gives_the_same(tmp_path: Path, engine: str) -> None:
    model = make_model()
    one, other = record(model, tmp_path), record(model, tmp_path, engine=engine)
    for name, values in one.items():
        np.testing.assert_array_equal(other[name], values)


def test_the_model_is_left_as_it_was(tmp_path: Path) -> None:
    model = make_model()
    before = copy.deepcopy(model.state_dict())
    frozen, kept = list(model.parameters())[:2]
    frozen.requires_grad_(False)
    kept.grad = torch.ones_like(kept)
    record(model, tmp_path)
    assert not frozen.requires_grad
    assert frozen.grad is None
    assert torch.equal(kept.grad, torch.ones_like(kept))
    assert all(parameter.grad is None for parameter in list(model.parameters())[2:])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    model(torch.ones(1, 4, dtype=torch.long)).logits.sum().backward()
    assert not torch.equal(kept.grad, torch.ones_like(kept))  # no hook of ours takes it away


def test_what_is_not_finite_is_a_bad_checkpoint(tmp_path: Path) -> None:
    model = make_model()
    with torch.no_grad():
        model.lm_head.weight[3, 3] = torch.inf
    with pytest.raises(BadCheckpointError, match=r"loss is (nan|inf) nats.*--dtype float32"):
        record(model, tmp_path)
    assert all(parameter.grad is None for parameter in model.parameters())
    model = make_model(torch.float16)
    with torch.no_grad():
        # A residual stream of 1e-6 that the last norm brings to 1: the gradient is a million times what it is after it.
        model.gpt_neox.embed_in.weight.mul_(1e-5)
        for layer in model.gpt_neox.layers:
            for module in (layer.attention.dense, layer.mlp.dense_4h_to_h):
                module.weight.zero_()
                module.bias.zero_()
        model.gpt_neox.final_layer_norm.eps = 1e-14
    with pytest.raises(BadCheckpointError, match="overflows"):
        record(model, tmp_path)


def test_models_without_next_token_loss_are_refused() -> None:
    config = AutoConfig.for_model(
        "bert", hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8, vocab_size=20
    )
    engine = get_engine("torch")
    with pytest.raises(PhasescopeError, match=r"causal language models.*bert models predict masked tokens"):
        Backward(engine.open(AutoModelForMaskedLM.from_config(config).eval()), 2)
    with pytest.raises(ValueError, match=r"call model\.eval"):
        Backward(engine.open(make_model().train()), 2)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"gradients": "input"}, "Did you mean inputs"),
        ({"keep_gradients": True}, "no gradients to keep"),
        ({"gradients": "inputs", "gradient_sequences": 4, "gradient_batches": 5}, "--gradient-batches from 1 to 4"),
        ({"gradients": "inputs", "gradient_sequences": 0}, "0 sequences cannot be cut"),
    ],
)
def test_requests_that_make_no_sense(asked: dict[str, Any], said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        Probes(**asked)
